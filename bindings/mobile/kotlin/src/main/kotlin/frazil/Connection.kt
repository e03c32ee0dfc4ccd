package frazil

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch
import java.io.IOException
import java.net.InetAddress
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.Selector
import java.security.SecureRandom

private const val TEXT = 1 shl 31

/**
 * A connection to another peer over UDP: a [Peer] with its sockets, its clock and a thread.
 *
 * This driver is small, so that you can read it and write your own. It opens no TCP streams, so TURN servers are reached over UDP
 * alone; it does not look for new addresses after it has begun; and names below `.local` are resolved by the system.
 *
 * It runs until [close], or until the other side closes it: then whoever waits has an end at once, what has come is still there
 * to be taken, and every call but [close] itself fails with [FrazilException.Closed]. Should the core break down, all that waits and
 * every call fail with [FrazilException.Panicked], and [state] is `closed`. Any coroutine and any thread may call.
 *
 * @param config how it works, as [udpDriverConfig] fills it in: without a `receiveBuffer` a mebibyte of each channel's messages may
 * wait to be received
 * @param servers the STUN and TURN servers to ask
 * @param certificate a certificate that was kept; without one a new one is made
 * @param loopback whether to connect over loopback addresses too
 * @throws FrazilException.InvalidArgument if an argument cannot be, or asks for what this driver does not do
 * @throws FrazilException.System if the system does not list its interfaces, has no room for more files, or lets no socket be bound
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
        private val news = Inbox<Event>()
        private val offered = Inbox<Channel> { wakeDriver() }
        private val connectionState = MutableStateFlow("new")
        private val scope = CoroutineScope(SupervisorJob())
        private val driver: Job

        /** Datagrams of either direction, or messages; each time for as long as one turn takes. */
        private var buffer: ByteBuffer

        /** How many channels nobody has taken yet, as far as the core knows. */
        private var backlog = 0

        /** Whether it is closed, by whomever, and every call is refused. */
        @Volatile
        private var over = false

        /** Whether all who waited were told that it is over. */
        private var ended = false

        /** Why the driver ended by itself. */
        @Volatile
        private var broken: FrazilException? = null

        init {
            val complete = spelled { udpDriverConfig(config) }
            val addresses = hostSockets(loopback, linkLocal = false)
            val seed = ByteArray(32).also(SecureRandom()::nextBytes)
            peer = Peer(complete, servers, certificate, seed, clock.now())
            selector =
                try {
                    Selector.open()
                } catch (refused: IOException) {
                    peer.close()
                    throw FrazilException.System(refused.message.orEmpty())
                }
            sockets = Sockets(peer, selector)
            buffer = allocate(maxOf(Sockets.BATCH_BUFFER, Peer.BATCH_BUFFER))
            try {
                val bound = addresses.mapNotNull(sockets::bind)
                if (bound.isEmpty()) throw FrazilException.System("none of the machine's addresses could be bound")
                peer.handleNetworkChange(bound, clock.now())
                peer.endOfCandidates(clock.now())
            } catch (cause: FrazilException) {
                free()
                throw cause
            }
            // A thread of its own, as far as the others of this dispatcher are concerned: it waits in `select`.
            driver = scope.launch(Dispatchers.IO.limitedParallelism(1)) { drive() }
        }

        /**
         * What happens, until the connection is closed, for one collector: states, candidates of ours to be told to the other side,
         * and errors of servers. All of it waits to be collected. The last is that the state is `closed`; its `failure` says why if
         * the core broke down.
         */
        public val events: Flow<Event> = news.all

        /**
         * The channels that the other side opens, until the connection is closed, for one collector. All of them wait to be collected;
         * while more than 256 do, the other side's data is held back.
         */
        public val incoming: Flow<Channel> = offered.all

        /** W3C `connectionState`: `new`, `connecting`, `connected`, `disconnected`, `failed` or `closed`. */
        public val state: StateFlow<String> = connectionState.asStateFlow()

        /**
         * W3C `createDataChannel`. It opens once the connection is there.
         *
         * @throws FrazilException.InvalidChannel if the connection has failed, or the configuration is not possible
         */
        public fun createDataChannel(config: ChannelConfig): Channel =
            change {
                // The driver must not hear of the channel before it is in the table.
                synchronized(channels) {
                    refuseIfOver()
                    val number = peer.createDataChannel(config, it)
                    newChannel(number, config.label, config.protocol.orEmpty(), config.ordered ?: true)
                }
            }

        /**
         * W3C `createDataChannel`, ordered and reliable.
         *
         * @throws FrazilException.InvalidChannel if the label is too long, or there are too many channels
         */
        public fun createDataChannel(label: String): Channel = createDataChannel(ChannelConfig(label))

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

        /**
         * W3C `setConfiguration`, of the servers. With credentials that were renewed, what was lent with the old ones is kept.
         *
         * @throws FrazilException.InvalidArgument if a server cannot be
         */
        public fun setServers(servers: List<IceServer>): Unit = change { peer.setServers(servers, it) }

        /** The pair that carries the traffic; null if there is none. */
        public fun selectedPair(): Pair? = change { peer.selectedPair() }

        /** Our certificate with its key, to be kept for another connection. */
        public fun certificate(): Certificate = change { peer.certificate() }

        /**
         * Closes. Whoever waits for something has an end at once. The other side is told and servers get back what they lent, and
         * then everything is freed: for that this waits, two seconds at the most. To close twice is no error; whoever does waits for
         * the end as well.
         */
        public suspend fun close() {
            val leaves = synchronized(channels) { !over.also { over = true } }
            if (leaves) {
                try {
                    peer.leave(clock.now())
                } catch (_: FrazilException) {
                    // The core has broken down. The driver has ended, or is about to.
                } finally {
                    wakeDriver()
                }
            }
            driver.join()
        }

        /** Has the peer do something, and the driver take out what comes of it. */
        private inline fun <R> change(call: (now: Long) -> R): R {
            refuseIfOver()
            try {
                return call(clock.now())
            } finally {
                // It is also who finds out that the core has broken down.
                wakeDriver()
            }
        }

        private fun refuseIfOver() {
            if (over) throw broken ?: FrazilException.Closed("the connection is closed")
        }

        private fun wakeDriver() {
            selector.wakeup()
        }

        /** Goes on after the end until there is nothing left to send or to wait for. */
        private fun drive() {
            try {
                while (true) {
                    val deadline = settle()
                    if (ended && deadline == Peer.NEVER) break
                    sleep(deadline)
                    sockets.receive(buffer, clock)
                    peer.handleTimeout(clock.now())
                }
            } catch (cause: Throwable) {
                broken = cause as? FrazilException ?: FrazilException.System("the driver broke down: $cause")
            } finally {
                free()
                // Whoever waits for something, or asks for something, is told.
                if (!ended) end(Event.ConnectionStateChange("closed", broken?.message))
            }
        }

        /** Takes out all transmits and all events, until there are neither. Gives the deadline. */
        private fun settle(): Long {
            do {
                tellBacklog()
                sockets.send(buffer)
                val waiting = peer.waiting()
                when (waiting) {
                    Peer.MESSAGE -> takeMessages()
                    Peer.EVENT -> peer.pollEvent()?.let(::handle)
                }
            } while (waiting != Peer.NOTHING)
            return peer.pollTimeout()
        }

        private fun tellBacklog() {
            val waiting = offered.size
            if (waiting == backlog) return
            peer.setEventBacklog(waiting.toUInt(), clock.now())
            backlog = waiting
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
                    val channel = synchronized(channels) { newChannel(event.channel, event.label, event.protocol, event.ordered) }
                    channel.handleOpen()
                    offered.offer(channel)
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
                    val port = sockets.bindAnother(event.localIp)
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
                    if (event.state == "closed") {
                        // If it was the other side that closed it, we leave too.
                        peer.leave(clock.now())
                        end(event)
                    } else {
                        connectionState.value = event.state
                        news.offer(event)
                    }
                }

                else -> {
                    if (!ended) news.offer(event)
                }
            }
        }

        private fun resolve(event: Event.Resolve) {
            val addresses =
                try {
                    InetAddress.getAllByName(event.name).map { it.hostAddress }
                } catch (_: Exception) {
                    // There is none of that name, or we may not ask. The core waits for the answer.
                    emptyList()
                }
            try {
                peer.handleResolved(event.request, addresses, clock.now())
            } catch (_: FrazilException) {
                // Nobody wants to know any more, or the driver finds out that the core has broken down.
            } finally {
                wakeDriver()
            }
        }

        /** The lock of [channels] is held. */
        private fun newChannel(
            number: UInt,
            label: String,
            protocol: String,
            ordered: Boolean,
        ): Channel = Channel(number, label, protocol, ordered, peer, clock, ::wakeDriver).also { channels[number] = it }

        /** Tells whoever waits that nothing comes any more, and why if something broke down. */
        private fun end(last: Event.ConnectionStateChange) {
            ended = true
            val left =
                synchronized(channels) {
                    over = true
                    channels.values.toList().also { channels.clear() }
                }
            connectionState.value = last.state
            left.forEach { it.handleClosed(broken) }
            news.offer(last)
            news.close(broken)
            offered.close(broken)
        }

        private fun free() {
            try {
                peer.close()
            } catch (_: FrazilException) {
                // It is gone nevertheless.
            }
            sockets.close()
            selector.close()
        }

        private fun allocate(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN)
    }
