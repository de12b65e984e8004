// swift-tools-version: 6.2
import Foundation
import PackageDescription

// libtorch: the folder that `scripts/bootstrap` fills, or the one that LIBTORCH names (2.9 or later).
let packageFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
let libtorch = ProcessInfo.processInfo.environment["LIBTORCH"] ?? "\(packageFolder)/.retort/libtorch"

let torchHeaders = [
    "-isystem", "\(libtorch)/include", "-isystem", "\(libtorch)/include/torch/csrc/api/include",
    // Behind all others: Gloo's names, which the wheel's headers ask for (GlooNames/gloo/context.h).
    "-idirafter", "\(packageFolder)/Sources/CTorch/GlooNames", "-w",
]
let torchLibraries: [LinkerSetting] = [
    .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]),
    .linkedLibrary("torch"), .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
]

// What an app of RetortCore, RetortAgents and RetortRemote has no use for stands behind traits: `traits: []` leaves it all out, and SwiftPM then
// neither fetches the packages nor reaches targets with unsafe flags. examples/swift-app does so, and Tools/check_client_package.sh holds it to that.
let full = TargetDependencyCondition.when(traits: ["Full"])
let sqlite = TargetDependencyCondition.when(traits: ["Full", "SQLite"])

// FAISS, where it is installed: a static library that also needs BLAS, LAPACK and OpenMP. RETORT_WITHOUT_FAISS builds as if it were not there.
let hasFaiss =
    ProcessInfo.processInfo.environment["RETORT_WITHOUT_FAISS"] == nil
    && ["/usr/include", "/usr/local/include"].contains {
        FileManager.default.fileExists(atPath: "\($0)/faiss/Index.h")
    }
/// OpenMP's library has no name for the linker where no compiler of GNU's is installed.
let openMP = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"].lazy
    .map { "\($0)/libgomp.so.1" }.first { FileManager.default.fileExists(atPath: $0) }
// As flags they stand behind all libraries: a program that has libtorch, too, takes its BLAS, which is faster, for itself and for FAISS.
// Debian's before it would be torch's own.
let faissLibraries: [LinkerSetting] =
    hasFaiss
    ? [
        .linkedLibrary("faiss", .when(traits: ["Full"])),
        .unsafeFlags(
            ["-Xlinker", "-llapack", "-Xlinker", "-lblas", "-Xlinker", openMP ?? "-lgomp"], .when(traits: ["Full"])),
    ] : []

// libpq, where it is installed; Sources/CPostgres/Postgres.c finds its header in the usual folders. Elsewhere, as with Homebrew, a flag names it.
let libpqHeaders = [
    "/usr/include/postgresql", "/usr/include", "/usr/local/include/postgresql", "/usr/local/include",
    "/opt/homebrew/opt/libpq/include",
].first { FileManager.default.fileExists(atPath: "\($0)/libpq-fe.h") }
let libpqSettings: [CSetting] =
    libpqHeaders.map { folder in
        [.define("RETORT_POSTGRES", to: "1", .when(traits: ["Full"]))]
            + (folder.hasPrefix("/usr") ? [] : [.unsafeFlags(["-I", folder], .when(traits: ["Full"]))])
    } ?? []
let libpqLibraries: [LinkerSetting] =
    libpqHeaders == nil ? [] : [.linkedLibrary("pq", .when(traits: ["Full"]))]

let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift", condition: sqlite)
let http = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let sockets = ["NIOPosix", "NIOHTTP1"].map { Target.Dependency.product(name: $0, package: "swift-nio") }
let bigInt = Target.Dependency.product(name: "BigInt", package: "BigInt", condition: full)
let complex = Target.Dependency.product(name: "ComplexModule", package: "swift-numerics", condition: full)
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird", condition: full)
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird", condition: full)
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types", condition: full)
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let http1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio", condition: full)
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache", condition: full)
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let asyncAlgorithms = Target.Dependency.product(
    name: "AsyncAlgorithms", package: "swift-async-algorithms", condition: full)
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: full)
let yaml = Target.Dependency.product(name: "Yams", package: "Yams", condition: full)
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser", condition: full)
let gzip = Target.Dependency.target(name: "CZlib", condition: full)

/// glibc's allocator keeps twice the memory that training needs, and is slower at it; libraries leave the choice to the app.
let allocator = [LinkerSetting.linkedLibrary("jemalloc", .when(platforms: [.linux]))]

/// Each module with what it may import: downwards only, in the order of the design.
let modules: [(name: String, dependencies: [Target.Dependency], resources: [Resource])] = [
    ("RetortCore", [log, crypto, gzip], []),
    ("RetortAgents", ["RetortCore", tracing], []),
    ("RetortStore", ["RetortCore", "RetortAgents", "CPostgres", grdb, crypto], []),
    ("RetortProcesses", ["CWorker"], []),
    ("RetortPython", ["RetortCore", "RetortProcesses", "CWorker"], [.copy("Resources/worker")]),
    ("RetortWeb", [http, nio, sockets[0]], []),
    ("RetortTelemetry", ["RetortCore", "RetortWeb", http, nio, tracing, metrics], []),
    ("RetortRetrieval", ["RetortCore", "RetortWeb", "CFaiss", grdb, crypto, http, nio] + [sockets[1]], []),
    ("RetortRemote", ["RetortCore", "RetortWeb", http, nio, log] + sockets, []),
    ("RetortTesting", ["RetortCore", nio] + sockets, []),
    ("RetortMCP", ["RetortCore", "RetortProcesses", "RetortWeb", http, nio] + [sockets[1]], []),
    ("RetortHub", ["RetortCore", "RetortPython", "RetortWeb", http, nio] + [sockets[1]], []),
    ("RetortTensor", ["CTorch"], []),
    ("RetortLLM", ["RetortCore", "RetortTensor", "RetortHub"], []),
    ("RetortTraining", ["RetortCore", "RetortAgents", "RetortLLM", "RetortTensor", crypto], []),
    (
        "RetortEvaluation", ["RetortCore", "RetortStore", "RetortPython", bigInt, complex],
        [.copy("Resources/symbolic.py")]
    ),
    (
        "RetortDomains",
        [
            "RetortCore", "RetortAgents", "RetortStore", "RetortPython", "RetortRetrieval", "RetortEvaluation",
            "RetortMCP", "RetortProcesses", yaml,
        ], [.copy("Resources/host")]
    ),
    (
        "RetortWorld",
        ["RetortCore", "RetortAgents", "RetortDomains", "RetortRetrieval", "RetortPython", "RetortEvaluation"], []
    ),
    (
        "RetortRecipes",
        [
            "RetortCore", "RetortAgents", "RetortStore", "RetortPython", "RetortRetrieval", "RetortRemote", "RetortHub",
            "RetortLLM", "RetortTensor", "RetortTraining", "RetortEvaluation", "RetortDomains", "RetortWorld", crypto,
            metrics, yaml,
        ], []
    ),
    (
        "RetortServer",
        [
            "RetortCore", "RetortAgents", "RetortStore", "RetortMCP", "RetortEvaluation", "RetortDomains",
            "RetortRecipes", "RetortRetrieval", "RetortRemote", "RetortWeb", asyncAlgorithms, hummingbird,
            hummingbirdCore, httpTypes, http, http1, lifecycle, metrics, mustache, nio, log,
        ] + sockets, [.copy("Studio/Resources/studio")]
    ),
]

/// What tests need beyond the module they test.
let testDependencies: [String: [Target.Dependency]] = [
    "RetortServer": [
        "RetortRetrieval", "RetortMCP", "RetortLLM", "RetortTensor", "RetortPython", "RetortRemote", "RetortTesting",
        http,
    ],
    "RetortMCP": ["RetortProcesses", "ScriptedRetriever", http, nio],
    "RetortDomains": ["RetortProcesses", "ScriptedRetriever"],
    "RetortRetrieval": ["ScriptedRetriever", grdb],
    "RetortRemote": ["RetortTesting", "RetortAgents", "ScriptedRetriever"],
    "RetortTesting": ["RetortAgents", "RetortRemote"],
    "RetortAgents": ["RetortTesting", .product(name: "InMemoryTracing", package: "swift-distributed-tracing")],
    "RetortTelemetry": ["RetortTesting"],
    "RetortEvaluation": ["RetortTesting"],
    "RetortTraining": ["RetortTesting", "RetortRemote"],
    "RetortRecipes": ["RetortTesting", "ScratchPostgres"],
    "RetortStore": ["ScratchPostgres"],
    "RetortHub": ["RetortCore", crypto, hummingbird, log, nio, sockets[0]],
]

/// The modules and their tests.
let moduleTargets: [Target] = modules.map {
    .target(name: $0.name, dependencies: $0.dependencies, resources: $0.resources)
}
let excludedFromTests = [
    "RetortLLM": ["Templates", "Configurations", "GGUF"], "RetortCore": ["Fixtures"], "RetortMCP": ["Servers"],
    "RetortTraining": ["Losses"],
]
let testTargets: [Target] = modules.map {
    .testTarget(
        name: "\($0.name)Tests", dependencies: [.byName(name: $0.name)] + (testDependencies[$0.name] ?? []),
        exclude: excludedFromTests[$0.name] ?? [])
}

/// The command line, benches and tools.
let programs: [Target] = [
    .executableTarget(
        name: "retort",
        dependencies: [
            "RetortDomains",
            "RetortRecipes", "RetortCore", "RetortStore", "RetortWorld", "RetortEvaluation", "RetortLLM",
            "RetortTensor", "RetortPython", "RetortServer", "RetortAgents", "RetortRetrieval", "RetortRemote",
            "RetortHub", "RetortTraining", "RetortMCP", "RetortProcesses", "RetortTelemetry", tracing, metrics,
            lifecycle, log, arguments,
        ], linkerSettings: allocator),
    .executableTarget(
        name: "sandbox-bench", dependencies: ["RetortPython", "RetortAgents", "RetortCore"],
        path: "Benchmarks/Sandbox"),
    .executableTarget(
        name: "train-bench",
        dependencies: [
            "RetortTraining", "RetortLLM", "RetortTensor", "RetortStore", "RetortRetrieval", "RetortAgents",
            "RetortCore",
        ],
        path: "Benchmarks/Training", linkerSettings: allocator),
    .executableTarget(
        name: "retrieval-bench", dependencies: ["RetortRetrieval", "RetortTensor", "RetortCore"],
        path: "Benchmarks/Retrieval"),
    .executableTarget(
        name: "generate-bench", dependencies: ["RetortLLM", "RetortTensor", "RetortCore"],
        path: "Benchmarks/Generation", linkerSettings: allocator),
    .executableTarget(
        name: "roles-bench", dependencies: ["RetortAgents", "RetortCore", "RetortLLM", "RetortWorld"],
        path: "Benchmarks/Roles", linkerSettings: allocator),
    .executableTarget(
        name: "fleet-bench", dependencies: ["RetortStore", "RetortCore"], path: "Benchmarks/Fleet",
        linkerSettings: allocator),
    .executableTarget(
        name: "reduce-bench", dependencies: ["RetortTraining", "RetortTensor"], path: "Benchmarks/Reduce",
        linkerSettings: allocator),
    .executableTarget(name: "retort-fuzz", dependencies: ["RetortLLM", "RetortCore"], path: "Tools/Fuzz"),
    .executableTarget(
        name: "rollout-bench",
        dependencies: ["RetortRemote", "RetortAgents", "RetortPython", "RetortCore"],
        path: "Benchmarks/Rollout",
        linkerSettings: allocator),
    .executableTarget(
        name: "remote-parity",
        dependencies: [
            "RetortRemote", "RetortLLM", "RetortAgents", "RetortCore",
            arguments,
        ], path: "Tools/RemoteParity", linkerSettings: allocator),
    .executableTarget(
        name: "scripted-endpoint",
        dependencies: ["RetortTesting", "RetortWorld", "RetortCore", arguments], path: "Tools/ScriptedEndpoint"),
]

/// What tests and tools share.
let testSupport: [Target] = [
    .target(name: "ScratchPostgres", path: "Tools/ScratchPostgres"),
    .target(name: "ScriptedRetriever", dependencies: [nio] + sockets, path: "Tools/ScriptedRetriever"),
]

/// C and C++.
let nativeTargets: [Target] = [
    .target(name: "CWorker"),
    .target(name: "CPostgres", cSettings: libpqSettings, linkerSettings: libpqLibraries),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
        name: "CFaiss", cxxSettings: hasFaiss ? [.define("RETORT_FAISS", to: "1", .when(traits: ["Full"]))] : [],
        linkerSettings: faissLibraries),
    .target(name: "CTorch", cxxSettings: [.unsafeFlags(torchHeaders)], linkerSettings: torchLibraries),
]

let package = Package(
    name: "Retort",
    platforms: [.macOS(.v15)],
    products: modules.map { .library(name: $0.name, targets: [$0.name]) }
        + [.executable(name: "retort", targets: ["retort"])],
    // One at a time: SwiftPM passes several to the compiler in any order, and another order builds everything anew.
    traits: [
        .default(enabledTraits: ["Full"]),
        .trait(
            name: "Full",
            description: "Everything: training, models in this process, the interpreter, domains, recipes, servers."),
        .trait(name: "SQLite", description: "GRDB alone, for apps of RetortStore and RetortRetrieval."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.0"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0", traits: ["FullFoundation"]),
        .package(url: "https://github.com/apple/swift-numerics", from: "1.0.0"),
        .package(url: "https://github.com/attaswift/BigInt", from: "6.0.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.0.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: moduleTargets + testTargets + programs + testSupport + nativeTargets,
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
