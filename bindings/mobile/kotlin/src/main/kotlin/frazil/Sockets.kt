package frazil

import java.io.IOException
import java.net.Inet6Address
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.SocketOption
import java.net.StandardProtocolFamily
import java.net.StandardSocketOptions
import java.nio.ByteBuffer
import java.nio.channels.DatagramChannel
import java.nio.channels.SelectionKey
import java.nio.channels.Selector

private const val BATCH = 16
private const val HEADER = 8
private const val LENGTH = 4
private const val MAX_DATAGRAM = 2048
private const val MAX_KNOWN = 512
private const val KERNEL_BUFFER = 1_048_576

/** The UDP sockets of a connection, and the numbers of the paths that they have to others. */
internal class Sockets(
    private val peer: Peer,
    private val selector: Selector,
) : AutoCloseable {
    private class Socket(
        val channel: DatagramChannel,
        val address: InetSocketAddress,
        /** The system's number of the interface, which IPv6 wants to know for link-local addresses. */
        val index: Int,
    ) {
        /** The numbers of the paths from those whom datagrams came from. */
        val numbers = HashMap<InetSocketAddress, UInt>()
    }

    private class Route(
        val socket: Socket,
        val remote: InetSocketAddress,
    )

    private val sockets = HashMap<InetSocketAddress, Socket>()
    private val routes = HashMap<UInt, Route>()

    /** Whom the datagrams of a batch came from. */
    private val senders = ArrayList<InetSocketAddress>(BATCH)

    /** Binds a socket on this address and any port. Gives what was bound; null if it cannot be. */
    fun bind(wanted: HostSocket): HostSocket? = bind(wanted.ip, wanted.index.toInt())?.let { wanted.copy(port = it) }

    /** Binds one more socket on an address that has one, and any port. Gives the port; null if it cannot be bound. */
    fun bindAnother(ip: String): UShort? {
        val address = address(ip)
        val neighbour = sockets.values.find { it.address.address == address }
        return bind(ip, neighbour?.index ?: 0)
    }

    /** Whatever the system has against it: then this address is none of ours. */
    private fun bind(
        ip: String,
        index: Int,
    ): UShort? {
        val address = address(ip, index)
        val family = if (address is Inet6Address) StandardProtocolFamily.INET6 else StandardProtocolFamily.INET
        val channel =
            try {
                DatagramChannel.open(family)
            } catch (_: Exception) {
                // Java can be told to have no IPv6.
                return null
            }
        try {
            enlarge(channel, StandardSocketOptions.SO_RCVBUF)
            enlarge(channel, StandardSocketOptions.SO_SNDBUF)
            channel.bind(InetSocketAddress(address, 0)).configureBlocking(false)
            val socket = Socket(channel, channel.localAddress as InetSocketAddress, index)
            channel.register(selector, SelectionKey.OP_READ, socket)
            sockets[socket.address] = socket
            return socket.address.port.toUShort()
        } catch (_: Exception) {
            channel.close()
            return null
        }
    }

    private fun enlarge(
        channel: DatagramChannel,
        buffer: SocketOption<Int>,
    ) {
        try {
            channel.setOption(buffer, KERNEL_BUFFER)
        } catch (_: IOException) {
            // The buffer stays as it is.
        }
    }

    /** Closes the socket that is bound there. */
    fun close(
        ip: String,
        port: UShort,
    ) {
        val socket = sockets.remove(InetSocketAddress(address(ip), port.toInt())) ?: return
        routes.values.removeIf { it.socket === socket }
        socket.channel.close()
    }

    override fun close() {
        sockets.values.forEach { it.channel.close() }
        sockets.clear()
        routes.clear()
    }

    /** Hands in what the selector has found, one batch of each socket. If there is more the selector finds it again. */
    fun receive(
        buffer: ByteBuffer,
        clock: Clock,
    ) {
        selector.selectedKeys().forEach { key ->
            val socket = key.attachment() as Socket
            fill(buffer, socket)
            handIn(buffer, socket, clock.now())
        }
        selector.selectedKeys().clear()
    }

    /** Reads as many datagrams as there are and a batch has. */
    private fun fill(
        batch: ByteBuffer,
        socket: Socket,
    ) {
        batch.clear()
        senders.clear()
        while (senders.size < BATCH) {
            val start = batch.position()
            batch.limit(start + HEADER + MAX_DATAGRAM).position(start + HEADER)
            val sender = receive(socket, batch)
            if (sender == null) {
                batch.position(start)
                break
            }
            batch.putInt(start, number(socket, sender).toInt())
            batch.putInt(start + LENGTH, batch.position() - start - HEADER)
            senders.add(sender)
        }
        batch.flip()
    }

    private fun receive(
        socket: Socket,
        buffer: ByteBuffer,
    ): InetSocketAddress? =
        try {
            socket.channel.receive(buffer) as InetSocketAddress?
        } catch (_: IOException) {
            // What goes wrong with one datagram is no reason to receive no others.
            null
        }

    private fun handIn(
        batch: ByteBuffer,
        socket: Socket,
        now: Long,
    ) {
        var done = 0
        while (batch.hasRemaining()) {
            val taken = peer.handleDatagrams(batch, now)
            repeat(taken) { batch.position(batch.position() + HEADER + batch.getInt(batch.position() + LENGTH)) }
            done += taken
            if (batch.hasRemaining()) {
                // The core has forgotten the number of the next one's path.
                socket.numbers.remove(senders[done])
                batch.putInt(batch.position(), number(socket, senders[done]).toInt())
            }
        }
    }

    /** Sends what the core wants sent. A datagram that cannot be sent is lost, as on a wire. */
    fun send(buffer: ByteBuffer) {
        while (true) {
            buffer.clear()
            val length = peer.pollTransmits(buffer)
            if (length == 0) return
            buffer.limit(length)
            while (buffer.hasRemaining()) {
                val route = route(buffer.getInt().toUInt())
                val end = buffer.getInt() + buffer.position()
                buffer.limit(end)
                if (route != null) send(route, buffer)
                buffer.limit(length).position(end)
            }
        }
    }

    private fun send(
        route: Route,
        datagram: ByteBuffer,
    ) {
        try {
            route.socket.channel.send(datagram, route.remote)
        } catch (_: IOException) {
            // Lost.
        }
    }

    private fun number(
        socket: Socket,
        remote: InetSocketAddress,
    ): UInt {
        if (socket.numbers.size > MAX_KNOWN) socket.numbers.clear()
        return socket.numbers.getOrPut(remote) {
            val local = socket.address
            val path =
                Path(
                    protocol = "udp",
                    localIp = local.address.hostAddress,
                    localPort = local.port.toUShort(),
                    remoteIp = remote.address.hostAddress,
                    remotePort = remote.port.toUShort(),
                )
            peer.pathId(path)
        }
    }

    /** Where the path with this number leads; null if it leads nowhere any more. */
    private fun route(number: UInt): Route? {
        if (routes.size > MAX_KNOWN) routes.clear()
        return routes[number] ?: findRoute(number)?.also { routes[number] = it }
    }

    private fun findRoute(number: UInt): Route? {
        val path = peer.path(number)?.takeIf { it.protocol == "udp" } ?: return null
        val socket = sockets[InetSocketAddress(address(path.localIp), path.localPort.toInt())] ?: return null
        return Route(socket, InetSocketAddress(address(path.remoteIp, socket.index), path.remotePort.toInt()))
    }

    /** An address from its text. Nobody is asked for it. */
    private fun address(
        ip: String,
        index: Int = 0,
    ): InetAddress {
        val address = InetAddress.getByName(ip)
        val scoped = index != 0 && address is Inet6Address && address.isLinkLocalAddress
        return if (scoped) Inet6Address.getByAddress(null, address.address, index) else address
    }

    companion object {
        /** How many bytes a batch of received datagrams may take. */
        const val BATCH_BUFFER: Int = BATCH * (HEADER + MAX_DATAGRAM)
    }
}
