import Foundation
import RetortCore
import Synchronization
import Testing

@testable import RetortHub

@Suite("Models from a hub", .timeLimit(.minutes(30)))
struct HubDownloadTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "retort-hub-\(UUID().uuidString)")
    private let weights = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })

    private func model(_ more: [String: Data] = [:]) -> HubStand.Model {
        var files = [
            "config.json": Data(#"{"model_type": "llama"}"#.utf8), "tokenizer.json": Data("{}".utf8),
            "model.safetensors": weights, "modeling_evil.py": Data("import os".utf8),
            "pytorch_model.bin": Data("pickle".utf8),
            "README.md": Data("# hello".utf8), "empty.txt": Data(),
        ]
        files.merge(more) { $1 }
        return HubStand.Model(files: files)
    }

    private func locator(_ endpoint: String, token: String? = nil) -> ModelLocator {
        var settings = HubSettings(endpoint: endpoint, token: token.flatMap(HubToken.init), cache: folder)
        settings.backoffSeconds = 0.01
        settings.attempts = 3
        var locator = ModelLocator(settings: settings)
        locator.store = folder.appendingPathComponent("store")
        return locator
    }

    private func fails(_ name: String, _ locator: ModelLocator) async -> HubError? {
        do {
            _ = try await locator.locate(name)
            return nil
        } catch {
            return error as? HubError
        }
    }

    @Test("a hub is reached through the proxy that the environment names; a wrong one is an error of that variable")
    func proxied() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let stand = HubStand(["org/small": model()])
        try await stand.with { endpoint in
            let port = try #require(URL(string: endpoint)?.port)
            try await TunnelProxy.with(to: port) { proxy in
                // The storage, which is on this machine, is reached without it.
                let found = try await locator(through: proxy).locate("org/small")
                #expect(try Data(contentsOf: found.appendingPathComponent("model.safetensors")) == weights)
            }
        }
        let error = await #expect(throws: (any Error).self) {
            _ = try await locator(through: "gopher://x").locate("org/other")
        }
        #expect("\(error as Any)".contains("http_proxy"), "\(error as Any)")
    }

    private func locator(through proxy: String) -> ModelLocator {
        var settings = HubSettings(environment: [
            "HF_ENDPOINT": "http://hub.invalid", "http_proxy": proxy, "HF_HUB_CACHE": folder.path,
        ])
        (settings.backoffSeconds, settings.attempts) = (0.01, 1)
        return ModelLocator(settings: settings)
    }

    @Test("an adapter brings the base that it names; a base that is a path is not looked for")
    func adapterWithBase() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        func adapter(_ fields: String) -> HubStand.Model {
            HubStand.Model(files: ["adapter_config.json": Data(fields.utf8), "adapter_model.safetensors": weights])
        }
        let stand = HubStand([
            "org/small": model(), "org/lora": adapter(#"{"base_model_name_or_path": "org/small", "revision": null}"#),
            "org/gone": adapter(#"{"base_model_name_or_path": "org/nobody"}"#),
            "org/path": adapter(#"{"base_model_name_or_path": "../elsewhere/model"}"#),
        ])
        try await stand.with { endpoint in
            let locator = locator(endpoint)
            let lora = try await locator.locate("org/lora")
            let base = try #require(locator.base("org/small", revision: nil, of: lora))
            #expect(try locator.find("org/small") == base)
            #expect(try Data(contentsOf: base.appendingPathComponent("model.safetensors")) == weights)
            #expect(locator.base("org/small", revision: "other", of: lora) == nil)
            guard case .missing? = await fails("org/gone", locator) else {
                Issue.record("the base is not on the hub")
                return
            }
            #expect(try await locator.locate("org/path").lastPathComponent.isEmpty == false)
        }
    }

    @Test(
        "a model comes with what it is read from and nothing else, lies as huggingface_hub keeps it, and is then found without a network"
    )
    func fetched() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let stand = HubStand(["org/small": model()])
        let place = try await stand.with { endpoint in
            let place = try await locator(endpoint).locate("org/small")
            #expect(try await locator(endpoint).locate("org/small") == place)
            return place
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: place.path)
        #expect(names.sorted() == ["config.json", "model.safetensors", "tokenizer.json"])
        #expect(try Data(contentsOf: place.appendingPathComponent("model.safetensors")) == weights)
        let home = folder.appendingPathComponent("models--org--small")
        let commit = try #require(stand.models["org/small"]).commit
        #expect(try String(contentsOf: home.appendingPathComponent("refs/main"), encoding: .utf8) == commit)
        #expect(place.path == home.appendingPathComponent("snapshots/\(commit)").path)
        let link = try FileManager.default.destinationOfSymbolicLink(
            atPath: place.appendingPathComponent("config.json").path)
        #expect(link.hasPrefix("../../blobs/"))
        #expect(stand.seen.count { $0.path.hasPrefix("/api/") } == 1)
        #expect(locator("http://127.0.0.1:1").models().map(\.name) == ["org/small"])
        let offline = try await locator("http://127.0.0.1:1").locate("org/small")
        #expect(offline.path == place.path)
    }

    @Test("what is cut goes on where it stood")
    func resumed() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var only = model()
        only.files = only.files.filter { ["config.json", "model.safetensors"].contains($0.key) }
        let stand = HubStand(
            ["org/small": only], faults: [.status(503), .status(200), .cut(after: 100_000), .cut(after: 50_000)])
        try await stand.with { endpoint in
            let place = try await locator(endpoint).locate("org/small")
            #expect(try Data(contentsOf: place.appendingPathComponent("model.safetensors")) == weights)
        }
        let ranges = stand.downloads.compactMap(\.range)
        #expect(!ranges.isEmpty)
        #expect(ranges.allSatisfy { $0 != "bytes=0-" })
    }

    @Test("a part that an earlier process left is completed, and one that is wrong is fetched anew")
    func leftover() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        for (left, faults) in [
            (weights.prefix(1000), [HubStand.Fault]()), (Data(repeating: 7, count: 1000), []),
            (weights + weights, []), (weights.prefix(1000), [.ignoresRange]),
        ] {
            try? FileManager.default.removeItem(at: folder)
            let whole = ["config.json": Data("{}".utf8), "model.safetensors": weights]
            let stand = HubStand(
                ["org/small": HubStand.Model(files: whole)], faults: faults.isEmpty ? [] : [.status(503)] + faults)
            let blobs = folder.appendingPathComponent("models--org--small/blobs")
            try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
            let file = folder.appendingPathComponent("w")
            try weights.write(to: file)
            let key = try ContentHash.sha256([file])
            try Data(left).write(to: blobs.appendingPathComponent("\(key).incomplete"))
            try await stand.with { endpoint in
                let place = try await locator(endpoint).locate("org/small")
                #expect(try Data(contentsOf: place.appendingPathComponent("model.safetensors")) == weights)
            }
        }
    }

    @Test("bytes that are not those of the listing are refused, and none of them stay")
    func damaged() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let stand = HubStand(
            ["org/small": HubStand.Model(files: ["config.json": Data("{}".utf8), "model.safetensors": weights])],
            faults: Array(repeating: .otherBytes, count: 8))
        try await stand.with { endpoint in
            let error = await fails("org/small", locator(endpoint))
            guard case .damaged(let file, _)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(file == "org/small/config.json")
            let found = try locator(endpoint).find("org/small")
            #expect(found == nil)
        }
        let blobs = folder.appendingPathComponent("models--org--small/blobs")
        #expect(try FileManager.default.contentsOfDirectory(atPath: blobs.path).isEmpty)
    }

    @Test("the token is shown to the hub and not to the storage it points to")
    func tokens() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var gated = model()
        gated.isGated = true
        let stand = HubStand(["org/gated": gated])
        try await stand.with { endpoint in
            #expect(
                await fails("org/gated", locator(endpoint))
                    == .gated(name: "org/gated", endpoint: endpoint, isAnonymous: true))
            #expect(await fails("org/gated", locator(endpoint, token: "wrong")) == .badToken(endpoint: endpoint))
            _ = try await locator(endpoint, token: HubStand.secret).locate("org/gated")
        }
        let storage = stand.seen.filter { $0.path.hasPrefix("/storage/") }
        #expect(!storage.isEmpty && storage.allSatisfy { $0.authorization == nil })
        #expect(!"\(HubToken(HubStand.secret) as Any)".contains("letmein"))
    }

    @Test("what is not there is said: the model, the revision, a network, weights that are read")
    func missing() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let pickled = HubStand.Model(files: ["config.json": Data("{}".utf8), "pytorch_model.bin": Data("x".utf8)])
        let stand = HubStand([
            "org/small": model(), "org/pickled": pickled, "org/none": .init(files: ["README.md": Data()]),
        ])
        try await stand.with { endpoint in
            let locator = locator(endpoint)
            #expect(
                await fails("org/other", locator) == .missing(name: "org/other", endpoint: endpoint, isAnonymous: true))
            #expect(await fails("org/small@v9", locator) == .noRevision(name: "org/small", revision: "v9"))
            #expect("\(await fails("org/pickled", locator) as Any)".contains(".bin files only"))
            #expect("\(await fails("org/none", locator) as Any)".contains("neither model.safetensors nor a GGUF file"))
            #expect("\(await fails("org/small:Q4_0", locator) as Any)".contains("no GGUF files"))
            var offline = locator
            offline.settings.isOffline = true
            #expect(await fails("org/small", offline) == .offline(name: "org/small", cache: folder.path))
        }
        #expect("\(await fails("org/small", locator("http://127.0.0.1:1")) as Any)".contains("cannot be reached"))
        #expect(
            "\(await fails("./no/folder", locator("http://127.0.0.1:1")) as Any)".contains(
                "no folder or file './no/folder'"))
        #expect(stand.seen.allSatisfy { !$0.path.contains("no/folder") })
    }

    @Test("of several GGUF files one is chosen, a split one whole")
    func gguf() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let names = ["m-Q4_K_M.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf", "mmproj-m-f16.gguf"]
        let files = Dictionary(uniqueKeysWithValues: names.map { ($0, Data($0.utf8)) })
        let stand = HubStand(["org/gguf": .init(files: files, large: Set(names))])
        try await stand.with { endpoint in
            let locator = locator(endpoint)
            #expect(await fails("org/gguf", locator) == .choice(name: "org/gguf", of: ["m-Q4_K_M", "m-Q8_0"]))
            let small = try await locator.locate("org/gguf:Q4_K_M")
            #expect(small.lastPathComponent == "m-Q4_K_M.gguf")
            let split = try await locator.locate("org/gguf:q8_0")
            #expect(split.lastPathComponent == "m-Q8_0-00001-of-00002.gguf")
            let beside = split.deletingLastPathComponent().appendingPathComponent("m-Q8_0-00002-of-00002.gguf")
            #expect(try Data(contentsOf: beside) == Data("m-Q8_0-00002-of-00002.gguf".utf8))
            #expect(locator.models().map(\.name) == ["org/gguf:m-Q4_K_M", "org/gguf:m-Q8_0"])
        }
    }

    @Test("a cache that misses a shard, or holds a link to nothing, is completed")
    func partial() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        let index = #"{"weight_map": {"a": "\#(shards[0])", "b": "\#(shards[1])"}}"#
        var files = Dictionary(uniqueKeysWithValues: shards.map { ($0, Data($0.utf8)) })
        files["config.json"] = Data("{}".utf8)
        files["model.safetensors.index.json"] = Data(index.utf8)
        let stand = HubStand(["org/sharded": .init(files: files, large: Set(shards))])
        try await stand.with { endpoint in
            let locator = locator(endpoint)
            let place = try await locator.locate("org/sharded")
            let shard = place.appendingPathComponent(shards[1])
            try FileManager.default.removeItem(at: shard)
            #expect(try locator.find("org/sharded") == nil)
            _ = try await locator.locate("org/sharded")
            #expect(try Data(contentsOf: shard) == Data(shards[1].utf8))
            let blob = shard.resolvingSymlinksInPath()
            try FileManager.default.removeItem(at: blob)
            #expect(try locator.find("org/sharded") == nil)
            #expect(try await locator.locate("org/sharded").path == place.path)
        }
    }

    @Test("two that fetch the same at once fetch it once")
    func together() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let stand = HubStand(["org/small": model()])
        try await stand.with { endpoint in
            try await withThrowingTaskGroup(of: URL.self) { group in
                for _ in 0..<4 { group.addTask { try await locator(endpoint).locate("org/small") } }
                for try await place in group { #expect(FileManager.default.fileExists(atPath: place.path)) }
            }
        }
        #expect(stand.seen.count { $0.path.hasPrefix("/storage/") } == 3)
    }

    @Test("a listing that lies is refused: names that lead out of the folder, hashes that are none")
    func hostile() throws {
        let commit = String(repeating: "a", count: 40)
        func read(_ file: JSONValue, sha: String) throws -> HubRepository {
            try HubRepository(["sha": .string(sha), "siblings": [file]], name: "x/y")
        }
        for path in ["../a", "/a", "a/../../b", "a//b", "", ".", "a\\b", "a\0b"] {
            #expect(throws: HubError.self) { try read(["rfilename": .string(path)], sha: commit) }
        }
        for hash in ["", "..", "../../x", String(repeating: "A", count: 40), commit + "a"] {
            #expect(throws: HubError.self) { try read(["rfilename": "a", "blobId": .string(hash)], sha: commit) }
            #expect(throws: HubError.self) { try read(["rfilename": "a"], sha: hash) }
        }
    }
}
