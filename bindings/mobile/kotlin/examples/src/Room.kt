import frazil.Description
import frazil.Event
import frazil.IceCandidate
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.flow.receiveAsFlow
import kotlinx.coroutines.future.await
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.intOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.put
import java.net.URI
import java.net.http.HttpClient
import java.net.http.WebSocket
import java.util.concurrent.CompletionStage

/** What another member of a room says. */
sealed interface News {
    /** An offer or an answer. */
    class Described(
        val description: Description,
    ) : News

    /** A candidate. */
    class Trickled(
        val candidate: IceCandidate,
    ) : News
}

/** A room of the signalling server, by its WebSocket door (`docs/signaling.md`). */
class Room private constructor(
    private val inbox: Channel<JsonObject>,
) {
    private lateinit var socket: WebSocket
    private val sending = Mutex()

    /** Waits for a member who tells this of itself, and gives its id. */
    suspend fun memberWith(
        name: String,
        value: String,
    ): String {
        while (true) {
            val message = next()
            val members =
                when (message.text("type")) {
                    "welcome" -> message.getValue("members").jsonArray.map { it.jsonObject }
                    "peer-joined" -> listOf(message.getValue("member").jsonObject)
                    else -> emptyList()
                }
            val member = members.find { it["info"]?.jsonObject?.text(name) == value }
            if (member != null) return checkNotNull(member.text("id"))
        }
    }

    /** Waits for an offer: who makes it, and the offer. */
    suspend fun offer(): Pair<String, Description> {
        while (true) {
            val message = next()
            val news = message.news()
            if (news is News.Described) return Pair(checkNotNull(message.text("from")), news.description)
        }
    }

    /** What this member says from now on. */
    fun newsFrom(member: String): Flow<News> =
        inbox
            .receiveAsFlow()
            .filter { it.text("from") == member }
            .mapNotNull { it.news() }

    suspend fun describe(
        member: String,
        description: Description,
    ) = send("description") {
        put("to", member)
        put(
            "description",
            buildJsonObject {
                put("type", description.type)
                put("sdp", description.sdp)
            },
        )
    }

    suspend fun trickle(
        member: String,
        candidate: Event.LocalIceCandidate,
    ) = send("candidate") {
        put("to", member)
        put(
            "candidate",
            buildJsonObject {
                put("candidate", candidate.candidate)
                put("sdpMid", candidate.sdpMid)
                put("sdpMLineIndex", candidate.sdpMLineIndex?.toInt())
                put("usernameFragment", candidate.usernameFragment)
            },
        )
    }

    suspend fun leave() {
        send("leave") {}
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").await()
    }

    private suspend fun send(
        type: String,
        fields: JsonObjectBuilder.() -> Unit,
    ) {
        val message =
            buildJsonObject {
                put("type", type)
                fields()
            }
        // A WebSocket of Java's takes one message at a time.
        sending.withLock { socket.sendText(message.toString(), true).await() }
    }

    private suspend fun next(): JsonObject = inbox.receive()

    private fun JsonObject.news(): News? =
        when (text("type")) {
            "description" -> {
                val description = getValue("description").jsonObject
                News.Described(Description(description.text("type").orEmpty(), description.text("sdp").orEmpty()))
            }

            "candidate" -> {
                val candidate = getValue("candidate").jsonObject
                News.Trickled(
                    IceCandidate(
                        candidate = candidate.text("candidate").orEmpty(),
                        sdpMid = candidate.text("sdpMid"),
                        sdpMLineIndex = candidate["sdpMLineIndex"]?.jsonPrimitive?.intOrNull?.toUShort(),
                        usernameFragment = candidate.text("usernameFragment"),
                    ),
                )
            }

            else -> {
                null
            }
        }

    companion object {
        /** Enters a room, and tells this of us to the other members. */
        suspend fun join(
            url: String,
            room: String,
            info: JsonObject,
        ): Room {
            val inbox = Channel<JsonObject>(Channel.UNLIMITED)
            return Room(inbox).apply {
                socket =
                    HttpClient
                        .newHttpClient()
                        .newWebSocketBuilder()
                        .buildAsync(URI(url), Inbox(inbox))
                        .await()
                send("join") {
                    put("room", room)
                    put("info", info)
                }
            }
        }
    }
}

/** Collects what the server sends. */
private class Inbox(
    private val messages: Channel<JsonObject>,
) : WebSocket.Listener {
    private val text = StringBuilder()

    override fun onText(
        socket: WebSocket,
        part: CharSequence,
        last: Boolean,
    ): CompletionStage<*>? {
        text.append(part)
        if (last) {
            val message = Json.parseToJsonElement(text.toString()).jsonObject
            text.clear()
            if (message.text("type") == "error") {
                messages.close(IllegalStateException("the signalling server refused: ${message.text("message")}"))
            } else {
                messages.trySend(message)
            }
        }
        return super.onText(socket, part, last)
    }

    override fun onClose(
        socket: WebSocket,
        code: Int,
        reason: String,
    ): CompletionStage<*>? {
        messages.close(IllegalStateException("the signalling server has closed: $code $reason"))
        return null
    }

    override fun onError(
        socket: WebSocket,
        error: Throwable,
    ) {
        messages.close(error)
    }
}

private fun JsonObject.text(name: String): String? = this[name]?.jsonPrimitive?.contentOrNull
