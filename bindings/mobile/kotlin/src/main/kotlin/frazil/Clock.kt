package frazil

/** Nanoseconds since it was made. The system's own count has any epoch, and may be negative. */
internal class Clock {
    private val epoch = System.nanoTime()

    fun now(): Long = System.nanoTime() - epoch
}
