package frazil

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
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
 */
public class Channel internal constructor(
    private val number: UInt,
    public val label: String,
    public val protocol: String,
    private val peer: Peer,
    private val clock: Clock,
    private val wakeDriver: () -> Unit,
) {
    private val opened = CompletableDeferred<Unit>()
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

    /**
     * Sends text. Waits until the channel is open and has room.
     *
     * @throws FrazilException.NotSent if the channel is closed, or the text is too long for the other side
     * @throws FrazilException.InvalidArgument if it is no text, as it has half of a surrogate pair
     */
    public suspend fun send(text: String): Unit = send(spelled { text.encodeToByteArray(throwOnInvalidSequence = true) }, text = true)

    /**
     * Sends bytes. Waits until the channel is open and has room.
     *
     * @throws FrazilException.NotSent if the channel is closed, or there are too many bytes for the other side
     */
    public suspend fun send(bytes: ByteArray): Unit = send(bytes, text = false)

    private suspend fun send(
        message: ByteArray,
        text: Boolean,
    ) {
        opened.await()
        sending.withLock {
            // Once the channel is closed nobody says that there is room, and the next try says why not.
            while (!trySend(message, text)) room.receiveCatching()
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
        } catch (_: FrazilException.Closed) {
            // There is nobody left to be held back.
        } finally {
            wakeDriver()
        }
        return received.message
    }

    /** Closes the channel once what was sent is delivered. To close twice, or with the connection, is no error. */
    public fun close() {
        try {
            peer.closeChannel(number, clock.now())
        } catch (_: FrazilException.Closed) {
            // So is the channel.
        } finally {
            wakeDriver()
        }
    }

    internal fun handleOpen() {
        opened.complete(Unit)
    }

    internal fun handleRoom() {
        room.trySend(Unit)
    }

    internal fun handleMessage(
        message: Message,
        size: Int,
    ) {
        received.offer(Received(message, size))
    }

    internal fun handleClosed(cause: Throwable?) {
        opened.complete(Unit)
        room.close()
        received.close(cause)
    }
}
