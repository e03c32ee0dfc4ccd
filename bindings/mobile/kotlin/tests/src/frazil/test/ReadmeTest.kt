package frazil.test

import frazil.Channel
import frazil.Connection
import frazil.Description
import frazil.Event
import frazil.IceCandidate
import frazil.Message
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.File

class ReadmeTest {
    @Test
    fun whatItShowsIsWhatIsRunHere() {
        val words = { text: String -> text.lines().map { it.trim().replace(Regex(" +"), " ") }.filter(String::isNotEmpty) }
        val shown = File(System.getProperty("frazil.readme")).readText().substringAfter("```kotlin\n").substringBefore("```")
        val run = File(System.getProperty("frazil.tests"), "frazil/test/ReadmeTest.kt").readText()
        assertTrue(words(shown).size > 20)
        assertEquals(words(shown), words(run.substringAfter("// From here\n").substringBefore("// to here.")))
    }

    @Test
    fun itWorks() =
        bounded {
            val signaling = OtherSide(this)
            show(signaling)
            assertEquals(Message.Text("hello"), signaling.heard)
            signaling.connection.close()
        }

    private suspend fun CoroutineScope.show(signaling: OtherSide) {
        // From here
        val connection = Connection()
        val channel = connection.createDataChannel("chat")

        launch {
            connection.events.collect { event ->
                when (event) {
                    is Event.LocalIceCandidate -> {
                        signaling.tellCandidate(event)
                    }

                    is Event.ConnectionStateChange -> {
                        println("${event.state} ${event.failure.orEmpty()}")
                    }

                    else -> {}
                }
            }
        }
        val offer = connection.createOffer()
        connection.setLocalDescription(offer)
        signaling.tellDescription(offer)
        connection.setRemoteDescription(signaling.answer())

        channel.send("hello") // waits until the channel is open and has room
        channel.messages.collect { message ->
            // until it is closed
            when (message) {
                is Message.Text -> println(message.text)
                is Message.Binary -> println("${message.bytes.size} bytes")
            }
        }
        connection.close()
        // to here.
    }
}

/** Whom the README's program talks to, and the way to it. */
private class OtherSide(
    private val scope: CoroutineScope,
) {
    val connection = Connection()
    var heard: Message? = null
    private val early = ArrayList<IceCandidate>()

    fun tellCandidate(event: Event.LocalIceCandidate) {
        val candidate = IceCandidate(event.candidate, event.sdpMid, event.sdpMLineIndex, event.usernameFragment)
        synchronized(early) { if (!described) early.add(candidate) else connection.addIceCandidate(candidate) }
    }

    private var described = false

    fun tellDescription(offer: Description) {
        connection.setRemoteDescription(offer)
        synchronized(early) {
            described = true
            early.forEach(connection::addIceCandidate)
        }
        scope.launch { talk(connection.incoming.first()) }
    }

    /** The answer. It has all candidates, as there are no servers to wait for. */
    fun answer(): Description = connection.createAnswer().also(connection::setLocalDescription)

    private suspend fun talk(channel: Channel) {
        heard = channel.receive()
        channel.send("hello yourself")
        channel.send(ByteArray(3))
        channel.close()
    }
}
