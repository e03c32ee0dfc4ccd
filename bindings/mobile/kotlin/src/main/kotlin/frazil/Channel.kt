package frazil

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.getAndUpdate
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.channels.Channel as Queue

/** What a [Channel] carries. */
public sealed interface Message {
    /** A message of text. */
    public data class Text(
        /** What it says. */
        val text: String,
    ) : Message

    /** A message of bytes. */
    public class Binary(
        /** All of them. */
        public val bytes: ByteArray,
    ) : Message
}

/**
 * A data channel of a [Connection].
 *
 * All that is sent and received here waits for the other side: [send] while our buffer is full, and the other side while
 * nobody reads what it has sent.
 *
 * @property label a name for the application's use
 * @property protocol the subprotocol's name; empty for none
 * @property ordered whether messages arrive in the order in which they were sent
 */
public class Channel internal constructor(
    private val number: UInt,
    public val label: String,
    public val protocol: String,
    public val ordered: Boolean,
    private val peer: Peer,
    private val clock: Clock,
    private val wakeDriver: () -> Unit,
) {
    private enum class Phase { OPENING, OPEN, CLOSING, CLOSED }

    private val phase = MutableStateFlow(Phase.OPENING)

    /** Why it is closed, if something broke down. */
    @Volatile
    private var broken: FrazilException? = null
    private val room = Queue<Unit>(Queue.CONFLATED)
    private val sending = Mutex()

    /** How much waits here is bounded by the core, which is told what was read. */
    private val received = Inbox<Received>()

    private class Received(
        val message: Message,
        val size: Int,
    )

    /** What the other side sends, until the channel is closed. Each message goes to one collector. */
    public val messages: Flow<Message> = flow { while (true) emit(receive() ?: break) }

    /** W3C `bufferedAmount`: bytes that the other side has not acknowledged yet; none once the channel is closed. */
    public val bufferedAmount: UInt
        get() =
            try {
                peer.bufferedAmount(number)
            } catch (_: FrazilException.Closed) {
                0U
            }

    /**
     * Waits until messages can be sent.
     *
     * @throws FrazilException.Closed if the channel is closed
     */
    public suspend fun opened() {
        if (phase.first { it != Phase.OPENING } != Phase.OPEN) throw broken ?: FrazilException.Closed("the channel is closed")
    }

    /**
     * Sends a message. Waits until the channel is open and has room.
     *
     * @throws FrazilException.Closed if the channel is closed
     * @throws FrazilException.NotSent if the message is too long for the other side
     * @throws FrazilException.InvalidArgument if it is text that is none, as it has half of a surrogate pair
     */
    public suspend fun send(message: Message): Unit =
        when (message) {
            is Message.Text -> send(message.text)
            is Message.Binary -> send(message.bytes)
        }

    /**
     * Sends text. Waits until the channel is open and has room.
     *
     * @throws FrazilException.Closed if the channel is closed
     * @throws FrazilException.NotSent if the text is too long for the other side
     * @throws FrazilException.InvalidArgument if it is no text, as it has half of a surrogate pair
     */
    public suspend fun send(text: String): Unit = send(spelled { text.encodeToByteArray(throwOnInvalidSequence = true) }, text = true)

    /**
     * Sends bytes. Waits until the channel is open and has room.
     *
     * @throws FrazilException.Closed if the channel is closed
     * @throws FrazilException.NotSent if there are too many bytes for the other side
     */
    public suspend fun send(bytes: ByteArray): Unit = send(bytes, text = false)

    private suspend fun send(
        message: ByteArray,
        text: Boolean,
    ) {
        sending.withLock {
            opened()
            while (!trySend(message, text)) {
                room.receiveCatching()
                opened()
            }
        }
    }

    private fun trySend(
        message: ByteArray,
        text: Boolean,
    ): Boolean {
        try {
            return peer.send(number, message, text, clock.now())
        } finally {
            wakeDriver()
        }
    }

    /**
     * The next message of the other side; null once the channel is closed and all messages were received. Whoever is cancelled
     * here leaves the message to the next.
     */
    public suspend fun receive(): Message? {
        val received = received.take() ?: return null
        try {
            peer.release(number, received.size, clock.now())
        } catch (_: FrazilException) {
            // There is nobody left to be held back. If the core has broken down, whoever receives hears of it after the last message.
        } finally {
            wakeDriver()
        }
        return received.message
    }

    /**
     * Closes the channel: it takes nothing more, neither to send nor to receive, and is [closed] once what was sent is delivered.
     * Messages that have come can still be received. To close twice, or with the connection, is no error.
     */
    public fun close() {
        val before = phase.getAndUpdate { if (it == Phase.CLOSED) it else Phase.CLOSING }
        if (before == Phase.CLOSING || before == Phase.CLOSED) return
        try {
            peer.closeChannel(number, clock.now())
        } catch (_: FrazilException.Closed) {
            // So is the channel.
        } finally {
            // Whoever waits for room has no use for it any more.
            room.trySend(Unit)
            wakeDriver()
        }
    }

    /**
     * Waits until the channel is closed, by whichever side. If that was [close], what was sent before it is delivered by then. It is
     * closed with the connection too, and then what was sent may be lost.
     */
    public suspend fun closed() {
        phase.first { it == Phase.CLOSED }
        broken?.let { throw it }
    }

    internal fun handleOpen() {
        phase.compareAndSet(Phase.OPENING, Phase.OPEN)
    }

    /** There is room in the buffer. */
    internal fun handleRoom() {
        room.trySend(Unit)
    }

    internal fun handleMessage(
        message: Message,
        size: Int,
    ) {
        if (phase.value != Phase.CLOSING) received.offer(Received(message, size))
    }

    internal fun handleClosed(cause: FrazilException?) {
        broken = cause
        phase.value = Phase.CLOSED
        room.close()
        received.close(cause)
    }
}
