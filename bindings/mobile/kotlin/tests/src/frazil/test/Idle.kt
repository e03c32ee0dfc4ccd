package frazil.test

import frazil.ChannelConfig
import frazil.Connection
import frazil.hostSockets
import kotlinx.coroutines.runBlocking

/** A program that has used the library, and then has nothing more to do. */
fun main(words: Array<String>) {
    check(hostSockets(loopback = true, linkLocal = false).isNotEmpty())
    val connection = Connection(loopback = true)
    connection.createDataChannel(ChannelConfig("x"))
    connection.setLocalDescription(connection.createOffer())
    if (words.single() == "closed") runBlocking { connection.close() }
}
