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

private const val PAGE = 4096L
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
        val (bytes, handles) = held()
        repeat(rounds, round)
        val (bytesLater, handlesLater) = held()
        assertTrue(bytesLater - bytes < BOUND, "$bytes bytes, and $bytesLater later")
        assertTrue(handlesLater <= handles + 4, "$handles handles, and $handlesLater later")
    }

    /** Resident bytes and open handles of this process, once everything is gone that can go. */
    private fun held(): Pair<Long, Int> {
        repeat(3) {
            System.gc()
            System.runFinalization()
        }
        val pages = File("/proc/self/statm").readText().split(' ')[1].toLong()
        return Pair(pages * PAGE, File("/proc/self/fd").list().orEmpty().size)
    }
}
