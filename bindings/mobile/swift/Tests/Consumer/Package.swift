// swift-tools-version: 6.0

import PackageDescription

// What a program's own package looks like that uses frazil; its source is the one that the README shows.
let package = Package(
    name: "consumer",
    platforms: [.iOS(.v16), .macOS(.v13)],
    dependencies: [.package(name: "frazil", path: "../../../../..")],
    targets: [.executableTarget(name: "Consumer", dependencies: [.product(name: "Frazil", package: "frazil")])],
    swiftLanguageModes: [.v6]
)
