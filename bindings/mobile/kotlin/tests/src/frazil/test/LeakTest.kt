package frazil.test

import frazil.ChannelConfig
import frazil.Config
import frazil.Event
import frazil.Peer
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.File

private const val BATCHES = 5
private const val BOUND = 16L shl 20

class LeakTest {
    @Test
    fun aThousandPeersLeaveNothingBehind() =
        grown(warmUp = 1_000, rounds = 1_000) { round ->
            Peer(Config(), emptyList(), null, ByteArray(32) { round.toByte() }, 0).use { peer ->
                peer.createDataChannel(ChannelConfig("x"), 0)
                peer.setLocalDescription(peer.createOffer(), 0)
                while (peer.waiting() != Peer.NOTHING) check(peer.pollEvent() is Event)
            }
        }

    @Test
    fun connectionsLeaveNothingBehind() =
        grown(warmUp = 10, rounds = 10) {
            bounded {
                // To close takes a second, in which there is nothing to do.
                repeat(10) { launch { coroutineScope { useConnections(this) } } }
            }
        }

    private suspend fun useConnections(scope: CoroutineScope) {
        val pair = LoopbackPair()
        val (ours, theirs) = pair.connect(scope)
        ours.send("x")
        theirs.receive()
        pair.close()
    }

    private fun grown(
        warmUp: Int,
        rounds: Int,
        round: (Int) -> Unit,
    ) {
        repeat(warmUp, round)
        val seen = arrayListOf(held())
        // What leaks grows with every batch; what else this process does may grow in one.
        val settles =
            generateSequence {
                repeat(rounds, round)
                seen.add(held())
                seen.takeLast(2)
            }.take(BATCHES).any { (before, after) -> after.first - before.first < BOUND && after.second <= before.second }
        assertTrue(settles, "bytes and handles: $seen")
    }

    /** Resident bytes of its own and open handles of this process, once everything is gone that can go. */
    private fun held(): Pair<Long, Int> {
        repeat(3) {
            System.gc()
            System.runFinalization()
        }
        val line = File("/proc/self/status").readLines().single { it.startsWith("RssAnon:") }
        val kibibytes = line.split(Regex(" +|\t+")).first { it.toLongOrNull() != null }.toLong()
        return Pair(kibibytes * 1024, File("/proc/self/fd").list().orEmpty().size)
    }
}
