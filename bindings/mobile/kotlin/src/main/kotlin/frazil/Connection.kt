package frazil

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.receiveAsFlow
import kotlinx.coroutines.launch
import java.io.IOException
import java.net.InetAddress
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.Selector
import java.security.SecureRandom
import kotlinx.coroutines.channels.Channel as Queue

private const val RECEIVE_BUFFER = 1_048_576U
private const val FAREWELL = 1_000_000_000L
private const val MAX_OFFERED = 1_024
private const val TEXT = 1 shl 31

/**
 * A connection to another peer over UDP: a [Peer] with its sockets, its clock and a thread.
 *
 * This driver is small, so that you can read it and write your own. It opens no TCP streams, so TURN servers are reached over UDP
 * alone; it does not look for new addresses after it has begun; and names below `.local` are resolved by the system.
 *
 * Any coroutine and any thread may call. After [close] every call but [close] itself fails with [FrazilException.Closed].
 *
 * @param config how it works; without a `receiveBuffer` a mebibyte of each channel's messages may wait to be received
 * @param servers the STUN and TURN servers to ask
 * @param certificate a certificate that was kept; without one a new one is made
 * @param loopback whether to connect over loopback addresses too
 * @throws FrazilException.InvalidArgument if an argument cannot be
 * @throws FrazilException.System if the system does not list its interfaces
 */
public class Connection
    @JvmOverloads
    constructor(
        config: Config = Config(),
        servers: List<IceServer> = emptyList(),
        certificate: Certificate? = null,
        loopback: Boolean = false,
    ) {
        private val clock = Clock()
        private val peer: Peer
        private val selector: Selector
        private val sockets: Sockets
        private val channels = HashMap<UInt, Channel>()
        private val news = Queue<Event>(Queue.UNLIMITED)
        private val offered = Queue<Channel>(MAX_OFFERED)
        private val connectionState = MutableStateFlow("new")
        private val scope = CoroutineScope(SupervisorJob())
        private val driver: Job

        /** Datagrams of either direction, or messages; each time for as long as one turn takes. */
        private var buffer: ByteBuffer

        /** When to stop driving, whatever is left to do. */
        @Volatile
        private var end: Long? = null

        /** Why the driver ended by itself. */
        @Volatile
        private var broken: Throwable? = null

        init {
            val addresses = hostSockets(loopback, linkLocal = false)
            val seed = ByteArray(32).also(SecureRandom()::nextBytes)
            val receiveBuffer = config.receiveBuffer ?: RECEIVE_BUFFER
            peer = Peer(config.copy(activeTcp = false, receiveBuffer = receiveBuffer), servers, certificate, seed, clock.now())
            selector = Selector.open()
            sockets = Sockets(peer, selector)
            buffer = allocate(maxOf(Sockets.BATCH_BUFFER, Peer.BATCH_BUFFER))
            peer.handleNetworkChange(addresses.mapNotNull { sockets.bind(it) }, clock.now())
            peer.endOfCandidates(clock.now())
            // A thread of its own, as far as the others of this dispatcher are concerned: it waits in `select`.
            driver = scope.launch(Dispatchers.IO.limitedParallelism(1)) { drive() }
        }

        /** What happens, for one collector: states, candidates of ours to be told to the other side, and errors of servers. */
        public val events: Flow<Event> = news.receiveAsFlow()

        /** The channels that the other side opens, for one collector. */
        public val incoming: Flow<Channel> = offered.receiveAsFlow()

        /** W3C `connectionState`: `new`, `connecting`, `connected`, `disconnected`, `failed` or `closed`. */
        public val state: StateFlow<String> = connectionState.asStateFlow()

        /**
         * W3C `createDataChannel`. It opens once the connection is there.
         *
         * @throws FrazilException.InvalidChannel if the connection is over, or the configuration is not possible
         */
        public fun createDataChannel(config: ChannelConfig): Channel =
            change {
                // The driver must not hear of the channel before it is in the table.
                synchronized(channels) {
                    val number = peer.createDataChannel(config, it)
                    newChannel(number, config.label, config.protocol.orEmpty())
                }
            }

        /**
         * W3C `createOffer`. It has all candidates known by now; the others come as [Event.LocalIceCandidate].
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         */
        public fun createOffer(): Description = change { peer.createOffer() }

        /**
         * W3C `createAnswer`. It has all candidates known by now; the others come as [Event.LocalIceCandidate].
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         */
        public fun createAnswer(): Description = change { peer.createAnswer() }

        /**
         * W3C `setLocalDescription`: sets what was created last, or takes an offer back.
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         * @throws FrazilException.InvalidDescription if the text is not what was created
         */
        public fun setLocalDescription(description: Description): Unit = change { peer.setLocalDescription(description, it) }

        /**
         * W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         * @throws FrazilException.InvalidDescription if something is wrong with the description
         */
        public fun setRemoteDescription(description: Description): Unit = change { peer.setRemoteDescription(description, it) }

        /**
         * W3C `addIceCandidate`.
         *
         * @throws FrazilException.InvalidCandidate if the candidate cannot be read, belongs to nothing that was described, or is
         * over a limit
         */
        public fun addIceCandidate(candidate: IceCandidate): Unit = change { peer.addIceCandidate(candidate, it) }

        /** W3C `localDescription`: the last one set, with all candidates known by now. */
        public fun localDescription(): Description? = change { peer.localDescription() }

        /** W3C `remoteDescription`: the last one set, with the candidates that came since. */
        public fun remoteDescription(): Description? = change { peer.remoteDescription() }

        /** W3C `restartIce`: the next offer restarts ICE. */
        public fun restartIce(): Unit = change { peer.restartIce() }

        /** The pair that carries the traffic; null if there is none. */
        public fun selectedPair(): Pair? = change { peer.selectedPair() }

        /** Our certificate with its key, to be kept for another connection. */
        public fun certificate(): Certificate = change { peer.certificate() }

        /**
         * Closes: the other side is told, which takes about a second, and everything is freed. To close twice is no error; whoever
         * does waits for the end as well.
         */
        public suspend fun close() {
            val leaves = synchronized(channels) { (end == null).also { if (it) end = clock.now() + FAREWELL } }
            if (leaves) {
                try {
                    peer.leave(clock.now())
                    selector.wakeup()
                } catch (_: FrazilException) {
                    // The core has broken down. The driver has ended, or is about to.
                }
            }
            driver.join()
        }

        /** Has the peer do something, and the driver take out what comes of it. */
        private inline fun <R> change(call: (now: Long) -> R): R {
            if (end != null) throw broken ?: FrazilException.Closed("the connection is closed")
            try {
                return call(clock.now())
            } finally {
                // It is also who finds out that the core has broken down.
                selector.wakeup()
            }
        }

        private fun drive() {
            try {
                while (true) {
                    val deadline = settle()
                    val last = end
                    if (last != null && (deadline == Peer.NEVER || clock.now() >= last)) break
                    sleep(minOf(deadline, last ?: Peer.NEVER))
                    sockets.receive(buffer, clock)
                    peer.handleTimeout(clock.now())
                }
            } catch (cause: Throwable) {
                // Whoever waits for something, or asks for something, is told.
                broken = cause
            } finally {
                finish()
            }
        }

        /** Takes out all transmits and all events, until there are neither. Gives the deadline. */
        private fun settle(): Long {
            do {
                sockets.send(buffer)
                val waiting = peer.waiting()
                when (waiting) {
                    Peer.MESSAGE -> takeMessages()
                    Peer.EVENT -> peer.pollEvent()?.let(::handle)
                }
            } while (waiting != Peer.NOTHING)
            return peer.pollTimeout()
        }

        private fun sleep(deadline: Long) {
            val nanoseconds = deadline - clock.now()
            when {
                deadline == Peer.NEVER -> selector.select()

                // The selector counts milliseconds, and must not be early.
                nanoseconds > 0 -> selector.select(nanoseconds / 1_000_000 + 1)

                else -> selector.selectNow()
            }
        }

        private fun takeMessages() {
            buffer.clear()
            val length =
                try {
                    peer.pollMessages(buffer)
                } catch (_: FrazilException.InvalidArgument) {
                    // The next one is larger than any before it. The core takes none that are larger than we said.
                    buffer = allocate(buffer.capacity() * 2)
                    return
                }
            buffer.limit(length)
            while (buffer.hasRemaining()) {
                val number = buffer.getInt().toUInt()
                val word = buffer.getInt()
                val bytes = ByteArray(word and TEXT.inv()).also(buffer::get)
                val message = if (word and TEXT != 0) Message.Text(bytes.decodeToString()) else Message.Binary(bytes)
                synchronized(channels) { channels[number] }?.handleMessage(message, bytes.size)
            }
        }

        private fun handle(event: Event) {
            when (event) {
                is Event.DataChannel -> {
                    val channel = synchronized(channels) { newChannel(event.channel, event.label, event.protocol) }
                    channel.handleOpen()
                    // Who opens channels that nobody takes does not fill our memory with them.
                    if (offered.trySend(channel).isFailure) channel.close()
                }

                is Event.ChannelOpen -> {
                    synchronized(channels) { channels[event.channel] }?.handleOpen()
                }

                is Event.BufferedAmountLow -> {
                    synchronized(channels) { channels[event.channel] }?.handleRoom()
                }

                is Event.ChannelClosed -> {
                    synchronized(channels) { channels.remove(event.channel) }?.handleClosed(null)
                }

                is Event.Resolve -> {
                    scope.launch(Dispatchers.IO) { resolve(event) }
                }

                is Event.OpenSocket -> {
                    val port = sockets.bind(event.localIp)
                    peer.handleSocketOpened(event.socket, event.localIp.takeIf { port != null }, port ?: 0U, clock.now())
                }

                is Event.CloseSocket -> {
                    sockets.close(event.localIp, event.localPort)
                }

                is Event.OpenStream -> {
                    peer.handleStreamClosed(event.path, clock.now())
                }

                is Event.CloseStream, is Event.PublishName, is Event.WithdrawName, is Event.Message -> {}

                is Event.ConnectionStateChange -> {
                    connectionState.value = event.state
                    news.trySend(event)
                }

                else -> {
                    news.trySend(event)
                }
            }
        }

        private fun resolve(event: Event.Resolve) {
            val addresses =
                try {
                    InetAddress.getAllByName(event.name).map { it.hostAddress }
                } catch (_: IOException) {
                    emptyList()
                }
            try {
                peer.handleResolved(event.request, addresses, clock.now())
                selector.wakeup()
            } catch (_: FrazilException) {
                // Nobody wants to know any more.
            }
        }

        /** The lock of [channels] is held. */
        private fun newChannel(
            number: UInt,
            label: String,
            protocol: String,
        ): Channel = Channel(number, label, protocol, peer, clock, selector::wakeup).also { channels[number] = it }

        /** Nothing comes any more for anyone who waits. */
        private fun finish() {
            peer.close()
            sockets.close()
            selector.close()
            synchronized(channels) {
                end = end ?: clock.now()
                channels.values.forEach { it.handleClosed(broken) }
                channels.clear()
            }
            connectionState.value = "closed"
            news.close(broken)
            offered.close(broken)
        }

        private fun allocate(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN)
    }
