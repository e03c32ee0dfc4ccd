package frazil.test

import frazil.Config
import frazil.HostSocket
import frazil.Peer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import java.net.Inet6Address
import java.net.NetworkInterface
import java.nio.channels.Selector

/** The sockets of a connection, which users do not see. */
class SocketsTest {
    private val type = Class.forName("frazil.Sockets")

    private fun call(
        sockets: Any,
        name: String,
        argument: Any,
    ): Any? = type.methods.single { it.name.substringBefore('-') == name && it.parameterCount == 1 }.invoke(sockets, argument)

    private fun field(
        of: Any?,
        name: String,
    ): Any? {
        val field = checkNotNull(of).javaClass.getDeclaredField(name)
        field.isAccessible = true
        return field.get(of)
    }

    @Test
    fun oneMoreSocketIsBoundWhereALinkLocalOneIs() {
        val address =
            NetworkInterface
                .networkInterfaces()
                .toList()
                .filter { it.isUp }
                .flatMap { it.inetAddresses().toList() }
                .firstOrNull { it is Inet6Address && it.isLinkLocalAddress } as Inet6Address?
        assumeTrue(address != null, "this machine has no link-local address")
        val ip = checkNotNull(address).hostAddress.substringBefore('%')
        val wanted = HostSocket("udp", ip, 0U, "ethernet", address.scopeId.toUInt(), 0U, temporary = false, deprecated = false)
        Selector.open().use { selector ->
            Peer(Config(), emptyList(), null, ByteArray(32), 0).use { peer ->
                val sockets = type.getConstructor(Peer::class.java, Selector::class.java).newInstance(peer, selector)
                val bound = call(sockets, "bind", wanted)
                assumeTrue(bound != null, "its link-local address cannot be bound")
                val another = call(sockets, "bindAnother", ip)
                assertNotNull(another)
                assertNotEquals((bound as HostSocket).port, another)
                // Whom it sends to on that link is on the same interface.
                val indexes = (field(sockets, "sockets") as Map<*, *>).values.map { field(it, "index") }
                assertEquals(List(2) { address.scopeId }, indexes)
                (sockets as AutoCloseable).close()
            }
        }
    }
}
