package frazil

import com.sun.jna.Native
import java.io.IOException

private const val NAME = "frazil_mobile"

/** The native library: one file, which both JNI and JNA call into. */
internal object NativeLibrary {
    /** Where it is. It is loaded for JNI by now; the generated code asks for this to load it for JNA. */
    val path: String = load()

    private fun load(): String {
        // Out of the jar, or out of a folder that is named by `jna.library.path`.
        val unpacked =
            try {
                Native.extractFromResourcePath(NAME).absolutePath
            } catch (_: IOException) {
                // On Android it lies with the application's other libraries.
                System.loadLibrary(NAME)
                return NAME
            }
        System.load(unpacked)
        return unpacked
    }
}

/**
 * The reason in a word, the same in every language: `closed`, `panicked`, `invalid-argument`, `invalid-state`,
 * `invalid-description`, `invalid-candidate`, `invalid-channel`, `not-sent` or `system`.
 */
public val FrazilException.reason: String
    get() =
        when (this) {
            is FrazilException.Closed -> "closed"
            is FrazilException.Panicked -> "panicked"
            is FrazilException.InvalidArgument -> "invalid-argument"
            is FrazilException.InvalidState -> "invalid-state"
            is FrazilException.InvalidDescription -> "invalid-description"
            is FrazilException.InvalidCandidate -> "invalid-candidate"
            is FrazilException.InvalidChannel -> "invalid-channel"
            is FrazilException.NotSent -> "not-sent"
            is FrazilException.System -> "system"
        }
