// swift-tools-version: 6.1
import PackageDescription

// An app that takes Retort by version. `traits: []` leaves training, interpreter, servers and stores out, and with them libtorch, Python,
// GRDB and Hummingbird.
//
// RETORT_URL names the repository: Tools/check_client_package.sh lets it be a clone of this one, with a tag.
let retort = Context.environment["RETORT_URL"] ?? "file://\(Context.packageDirectory)/../.."

let package = Package(
    name: "shop-app",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: retort, from: "0.1.0", traits: [])],
    targets: [
        .executableTarget(
            name: "ShopApp",
            dependencies: ["RetortCore", "RetortAgents", "RetortRemote", "RetortTesting"].map {
                .product(name: $0, package: "retort")
            })
    ],
    swiftLanguageModes: [.v6]
)
