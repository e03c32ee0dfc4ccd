// swift-tools-version: 6.0

import PackageDescription

// The Swift package of the repository; its sources are in bindings/mobile/swift.
//
// What is native comes in one of two ways:
// - A library that cargo has built, libfrazil_mobile, is linked. The linker is told where it lies:
//   `swift build -Xlinker -L<folder>`. This is the way on Linux.
// - On Apple's systems FRAZIL_XCFRAMEWORK may name a FrazilNativeFFI.xcframework inside the repository that holds the same
//   library and its header. No release brings one yet.

let sources = "bindings/mobile/swift/Sources"

let native: Target =
    if let framework = Context.environment["FRAZIL_XCFRAMEWORK"] {
        .binaryTarget(name: "FrazilNativeFFI", path: framework)
    } else {
        .target(
            name: "FrazilNativeFFI",
            path: "\(sources)/FrazilNativeFFI",
            linkerSettings: [.linkedLibrary("frazil_mobile")]
        )
    }

let package = Package(
    name: "frazil",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "Frazil", targets: ["Frazil"]),
        .executable(name: "frazil-echo", targets: ["Echo"]),
    ],
    targets: [
        native,
        // Written by frazil-bindgen, and never by hand.
        .target(name: "FrazilNative", dependencies: ["FrazilNativeFFI"], path: "\(sources)/FrazilNative"),
        .target(name: "Frazil", dependencies: ["FrazilNative"], path: "\(sources)/Frazil"),
        .executableTarget(name: "Echo", dependencies: ["Frazil"], path: "\(sources)/Echo"),
        .executableTarget(name: "Benchmark", dependencies: ["Frazil"], path: "\(sources)/Benchmark"),
        .testTarget(name: "FrazilTests", dependencies: ["Frazil"], path: "bindings/mobile/swift/Tests/FrazilTests"),
    ],
    swiftLanguageModes: [.v6]
)
