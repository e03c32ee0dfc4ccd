import frazil.Config
import frazil.HostSocket
import frazil.Path
import frazil.Peer
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val DATAGRAM_BYTES = 1_200
private const val BATCH = 16
private const val ROUNDS = 20
private const val CALLS = 100_000

/**
 * What it costs to cross into the core and back, in nanoseconds: a datagram alone, one of a batch, and a call that does nothing. The
 * datagrams come from a path that has proven nothing, so the core counts and drops them.
 */
fun main() {
    val peer = Peer(Config(), emptyList(), null, ByteArray(32), 0)
    peer.handleNetworkChange(listOf(HostSocket("udp", "192.0.2.1", 4000U, "ethernet", 1U, 0U, temporary = false, deprecated = false)), 0)
    peer.endOfCandidates(0)
    val path = peer.pathId(Path("udp", "192.0.2.1", 4000U, "192.0.2.2", 4000U))
    val datagram = direct(DATAGRAM_BYTES).put(0, 23)
    val batch = direct(BATCH * (8 + DATAGRAM_BYTES))
    repeat(BATCH) {
        batch.putInt(path.toInt()).putInt(DATAGRAM_BYTES).put(datagram.duplicate())
    }
    batch.flip()
    val room = direct(Peer.BATCH_BUFFER)

    val alone =
        best { now ->
            check(peer.handleDatagram(path, datagram, now))
            while (peer.pollTransmit(room) != 0L) {}
            while (peer.waiting() != Peer.NOTHING) peer.pollEvent()
            peer.pollTimeout()
        }
    val batched =
        best { now ->
            check(peer.handleDatagrams(batch, now) == BATCH)
            while (peer.pollTransmits(room) != 0) {}
            while (peer.waiting() != Peer.NOTHING) peer.pollEvent()
            peer.pollTimeout()
        } / BATCH
    val empty = best { peer.waiting() }
    println("""{"language": "kotlin", "alone": %.0f, "batch": %.0f, "empty": %.0f}""".format(alone, batched, empty))
}

/** The nanoseconds of a call in the best round. The first rounds warm up. */
private inline fun best(call: (now: Long) -> Unit): Double {
    var best = Double.MAX_VALUE
    repeat(ROUNDS) {
        val started = System.nanoTime()
        for (now in 1L..CALLS) call(now)
        best = minOf(best, (System.nanoTime() - started).toDouble() / CALLS)
    }
    return best
}

private fun direct(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN)
