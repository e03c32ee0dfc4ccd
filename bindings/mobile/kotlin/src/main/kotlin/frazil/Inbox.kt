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
    private val limit: Int = Int.MAX_VALUE,
) {
    private val waiting = ArrayDeque<T>()
    private val news = Queue<Unit>(Queue.CONFLATED)
    private val turn = Mutex()

    /** All that comes, until it is closed. Each goes to one collector. */
    val all: Flow<T> = flow { while (true) emit(take() ?: break) }

    /** Keeps this; false if there is no room. */
    fun offer(value: T): Boolean {
        synchronized(waiting) {
            if (waiting.size >= limit) return false
            waiting.addLast(value)
        }
        news.trySend(Unit)
        return true
    }

    /** Waits for the next; null if it is closed and all were taken. What it was closed for is thrown in its place. */
    suspend fun take(): T? = turn.withLock { next() }

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
