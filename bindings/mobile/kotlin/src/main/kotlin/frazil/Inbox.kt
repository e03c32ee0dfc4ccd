package frazil

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.channels.Channel as Queue

/**
 * What came and nobody has taken yet. A channel of coroutines loses what it has given to one who is cancelled before having
 * its turn; this does not.
 */
internal class Inbox<T : Any>(
    /** Called when something was taken. */
    private val onTaken: () -> Unit = {},
) {
    private val waiting = ArrayDeque<T>()
    private val news = Queue<Unit>(Queue.CONFLATED)
    private val turn = Mutex()

    /** How many wait to be taken. */
    val size: Int get() = synchronized(waiting) { waiting.size }

    /** All that comes, until it is closed. Each goes to one collector. */
    val all: Flow<T> = flow { while (true) emit(take() ?: break) }

    /** Keeps this. It is not called after [close]. */
    fun offer(value: T) {
        synchronized(waiting) { waiting.addLast(value) }
        news.trySend(Unit)
    }

    /** Waits for the next; null if it is closed and all were taken. What it was closed for is thrown in its place. */
    suspend fun take(): T? = turn.withLock { next() }?.also { onTaken() }

    private suspend fun next(): T? {
        while (true) {
            // Nothing comes after the end; so whoever knows of it sees all that came.
            val end = news.tryReceive().takeIf { it.isClosed }
            synchronized(waiting) { waiting.removeFirstOrNull() }?.let { return it }
            if (end != null) return end.exceptionOrNull()?.let { throw it }
            news.receiveCatching()
        }
    }

    /** Nothing comes any more. */
    fun close(cause: Throwable?) {
        news.close(cause)
    }
}
