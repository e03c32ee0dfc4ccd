package frazil.test

import frazil.Config
import frazil.Connection
import frazil.Event
import frazil.FrazilException
import frazil.IceServer
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import java.security.Permission

/** A Java that forbids one thing. */
@Suppress("DEPRECATION")
private class Ban(
    private val names: Boolean,
) : SecurityManager() {
    override fun checkPermission(permission: Permission) = Unit

    override fun checkConnect(
        host: String,
        port: Int,
    ) {
        if (names && host.endsWith(".invalid")) throw SecurityException("names are forbidden")
    }

    override fun checkListen(port: Int) {
        if (!names) throw SecurityException("sockets are forbidden")
    }
}

/** A program that may not resolve names, or may not bind sockets. */
@Suppress("DEPRECATION")
fun main(words: Array<String>) {
    val names = words.single() == "names"
    // Whatever breaks down in a thread of the driver's is a failure.
    Thread.setDefaultUncaughtExceptionHandler { _, thrown ->
        thrown.printStackTrace()
        Runtime.getRuntime().halt(1)
    }
    System.setSecurityManager(Ban(names))
    if (names) resolveInVain() else bindInVain()
}

private fun resolveInVain() =
    runBlocking {
        val connection = Connection(Config(), listOf(IceServer(listOf("stun:nowhere.invalid"))), loopback = true)
        connection.createDataChannel("x")
        connection.setLocalDescription(connection.createOffer())
        // The core has its answer, and waits for no other.
        val error = connection.events.first { it is Event.IceCandidateError } as Event.IceCandidateError
        check("nowhere.invalid" in error.url)
        connection.close()
    }

private fun bindInVain() {
    val refused = runCatching { Connection(loopback = true) }.exceptionOrNull()
    check(refused is FrazilException.System && "could be bound" in refused.message.orEmpty()) { "$refused" }
}
