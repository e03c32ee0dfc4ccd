package frazil.test

import frazil.ChannelConfig
import frazil.Config
import frazil.Event
import frazil.HostSocket
import frazil.IceCandidate
import frazil.Path
import frazil.Peer
import org.junit.jupiter.api.fail
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What came on a channel. */
data class Received(
    val channel: UInt,
    val text: Boolean,
    val bytes: List<Byte>,
)

/** Two peers without sockets. Their datagrams change hands in virtual time, one by one or in batches. */
class VirtualPair(
    private val batched: Boolean,
    config: Config = Config(),
) : AutoCloseable {
    var now = 5_000_000_000L
        private set
    val ends = List(2) { End(it, config) }
    private val buffer = directBuffer(maxOf(Peer.BATCH_BUFFER, 262_144 + 8))

    inner class End(
        private val index: Int,
        config: Config,
    ) {
        val peer = Peer(config, emptyList(), null, ByteArray(32) { (index + 1).toByte() }, now)
        val events = ArrayList<Event>()
        val messages = ArrayList<Received>()
        private val numbers = HashMap<UInt, UInt>()

        init {
            peer.handleNetworkChange(listOf(HostSocket("udp", "192.0.2.${index + 1}", 4000U, "ethernet", 1U, 0U, false, false)), now)
            peer.endOfCandidates(now)
        }

        private val other get() = ends[1 - index]

        /** The number that the other side has for the path that is this one's. */
        private fun number(path: UInt): UInt =
            numbers.getOrPut(path) {
                val here = checkNotNull(peer.path(path))
                other.peer.pathId(Path(here.protocol, here.remoteIp, here.remotePort, here.localIp, here.localPort))
            }

        /** Sends all there is to send; whether there was any. */
        fun transmit(): Boolean {
            var sent = false
            while (true) {
                buffer.clear()
                if (batched) {
                    val length = peer.pollTransmits(buffer)
                    if (length == 0) return sent
                    var count = 0
                    var at = 0
                    while (at < length) {
                        buffer.putInt(at, number(buffer.getInt(at).toUInt()).toInt())
                        at += 8 + buffer.getInt(at + 4)
                        count++
                    }
                    buffer.limit(length)
                    check(other.peer.handleDatagrams(buffer, now) == count) { "a path was forgotten" }
                } else {
                    val transmit = peer.pollTransmit(buffer)
                    if (transmit == 0L) return sent
                    buffer.limit(transmit.toInt())
                    check(other.peer.handleDatagram(number((transmit ushr 32).toUInt()), buffer, now)) { "the path was forgotten" }
                }
                sent = true
            }
        }

        /** Takes out all events; whether there were any. */
        fun listen(): Boolean {
            var heard = false
            while (true) {
                when (peer.waiting()) {
                    Peer.NOTHING -> return heard
                    Peer.MESSAGE -> if (batched) takeMessages() else hear(checkNotNull(peer.pollEvent()))
                    else -> hear(checkNotNull(peer.pollEvent()))
                }
                heard = true
            }
        }

        private fun takeMessages() {
            buffer.clear()
            buffer.limit(peer.pollMessages(buffer))
            while (buffer.hasRemaining()) {
                val channel = buffer.getInt().toUInt()
                val length = buffer.getInt()
                val bytes = ByteArray(length and Int.MAX_VALUE).also(buffer::get)
                messages.add(Received(channel, length < 0, bytes.toList()))
            }
        }

        private fun hear(event: Event) {
            when (event) {
                is Event.Message -> {
                    messages.add(Received(event.channel, event.text, event.data.toList()))
                }

                is Event.LocalIceCandidate -> {
                    with(event) {
                        val told = IceCandidate(candidate, sdpMid, sdpMLineIndex, usernameFragment)
                        if (other.peer.remoteDescription() != null) other.peer.addIceCandidate(told, now)
                    }
                }

                else -> {
                    events.add(event)
                }
            }
        }

        inline fun <reified E : Event> heard(condition: (E) -> Boolean = { true }): Boolean = events.any { it is E && condition(it) }
    }

    /** Has them offer and answer, with the candidates that they know by now in the descriptions. */
    fun negotiate() {
        val (offerer, answerer) = ends.map(End::peer)
        settle()
        val offer = offerer.createOffer()
        offerer.setLocalDescription(offer, now)
        answerer.setRemoteDescription(offer, now)
        val answer = answerer.createAnswer()
        answerer.setLocalDescription(answer, now)
        offerer.setRemoteDescription(answer, now)
    }

    /** Connects them with one channel. Gives its number at each end. */
    fun connect(config: ChannelConfig = ChannelConfig("test")): Pair<UInt, UInt> {
        val ours = ends[0].peer.createDataChannel(config, now)
        negotiate()
        runUntil("the channel is open at both ends") { ends[0].heard<Event.ChannelOpen>() && ends[1].heard<Event.DataChannel>() }
        return Pair(
            ours,
            ends[1]
                .events
                .filterIsInstance<Event.DataChannel>()
                .single()
                .channel,
        )
    }

    /** Lets datagrams change hands until there are none. */
    fun settle() {
        while (ends.count { it.transmit() or it.listen() } > 0) {}
    }

    /** Lets time pass until this holds; half a minute at the most. */
    fun runUntil(
        what: String,
        condition: () -> Boolean,
    ) {
        val limit = now + 30_000_000_000
        settle()
        while (!condition()) {
            now = maxOf(now, ends.minOf { it.peer.pollTimeout() })
            if (now > limit) fail("not within half a minute: $what; ${ends.map { it.events }}")
            ends.forEach { it.peer.handleTimeout(now) }
            settle()
        }
    }

    override fun close() = ends.forEach { it.peer.close() }
}

fun directBuffer(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN)

/** Bytes in a buffer that has others before and behind them. */
fun directBuffer(bytes: ByteArray): ByteBuffer =
    directBuffer(bytes.size + 10)
        .position(5)
        .put(bytes)
        .limit(5 + bytes.size)
        .position(5)
