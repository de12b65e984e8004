import Foundation
import RetortCore
import RetortHub
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Adapters side by side")
struct AdapterTests {
    private let shape = DecoderConfiguration.qwen2(
        vocabularySize: 3072, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
        maximumPositions: 256)

    /// A base, and adapters beside it that each change what it says.
    private func family(_ folder: URL, adapters: [String]) throws -> (base: URL, adapters: [String: URL]) {
        let base = folder.appendingPathComponent("base")
        try Checkpoint.write(
            DecoderNetwork(shape, weights: RandomWeights(seed: 3, deviation: 0.3)), dtype: .float32,
            tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: base)
        var folders: [String: URL] = [:]
        for (number, name) in adapters.enumerated() {
            let network = try Checkpoint(folder: base).network()
            for (place, (_, linear)) in network.projections.enumerated() {
                let seed = UInt64(100 * number + place)
                linear.adapter = LowRankAdapter(
                    down: try Tensor.normal([4, linear.weight.shape[1]], deviation: 0.3, seed: seed),
                    up: try Tensor.normal([linear.weight.shape[0], 4], deviation: 0.3, seed: seed + 50), scale: 2)
            }
            let target = folder.appendingPathComponent(name)
            try AdapterFile.write(
                network,
                AdapterConfiguration(
                    baseModel: base.path, rank: 4, alpha: 8, dropout: 0, targets: ["q_proj", "down_proj"]),
                to: target)
            folders[name] = target
        }
        return (base, folders)
    }

    private func request(_ text: String, _ adapter: String?) -> GenerationRequest {
        GenerationRequest(messages: [Message(.user, text)], maximumTokens: 12, adapter: adapter)
    }

    @Test(
        "laid out for serving, it adds the same to a row whatever the others are, of any rank",
        .enabled(if: PackedWeight.hasKernels), arguments: [1, 8, 16, 32, 40])
    func independent(rank: Int) throws {
        let adapter = LowRankAdapter(
            down: try Tensor.normal([rank, 64], deviation: 0.3, seed: 1).to(.bfloat16),
            up: try Tensor.normal([48, rank], deviation: 0.3, seed: 2).to(.bfloat16), scale: 2)
        let x = try Tensor.normal([23, 64], deviation: 1, seed: 3).to(.bfloat16)
        try withoutGradients {
            let plain = try adapter(x).floats()
            try adapter.pack()
            let together = try adapter(x)
            let most = plain.map(abs).max() ?? 0
            #expect(zip(plain, try together.floats()).allSatisfy { abs($0 - $1) <= 0.02 * most })
            for rows in [0..<1, 1..<4, 4..<23] {
                let alone = try adapter(x.narrowed(0, rows))
                #expect(try alone.bytes() == together.narrowed(0, rows).bytes())
            }
        }
    }

    @Test("a base that is called by its name on the hub is looked for in the hub's cache, at the adapter's revision")
    func namedBase() async throws {
        let folder = try ScratchFolder()
        let (base, adapters) = try family(folder.url, adapters: ["one"])
        let adapter = try #require(adapters["one"])
        let cache = folder.url.appendingPathComponent("cache")
        let model = cache.appendingPathComponent("models--org--small")
        let files = FileManager.default
        try files.createDirectory(at: model.appendingPathComponent("refs"), withIntermediateDirectories: true)
        try files.createDirectory(at: model.appendingPathComponent("snapshots"), withIntermediateDirectories: true)
        try files.copyItem(at: base, to: model.appendingPathComponent("snapshots/abc"))
        try Data("abc".utf8).write(to: model.appendingPathComponent("refs/main"))
        let locator = ModelLocator(settings: HubSettings(endpoint: "http://127.0.0.1:9", cache: cache))
        var configuration = AdapterConfiguration(
            baseModel: "org/small", rank: 4, alpha: 8, dropout: 0, targets: ["q_proj"])
        let found = try configuration.base(relativeTo: adapter, locator: locator)
        #expect(found.resolvingSymlinksInPath().lastPathComponent == "abc")
        configuration.revision = "other"
        #expect(throws: CheckpointError.self) { try configuration.base(relativeTo: adapter, locator: locator) }
    }

    @Test("mixed in one batch, each answers as it does merged into its own model")
    func mixed() async throws {
        let folder = try ScratchFolder()
        let (base, adapters) = try family(folder.url, adapters: ["caller", "planner", "summarizer"])
        var expected: [String: String] = [:]
        for (name, url) in adapters {
            expected[name] = try await LocalModel(folder: url, options: .init(weights: .float32)).complete(
                request("one two", nil))[0].text
        }
        expected["none"] = try await LocalModel(folder: base, options: .init(weights: .float32)).complete(
            request("one two", nil))[0].text
        #expect(Set(expected.values).count == 4)
        let model = try LocalModel(folder: base, options: .init(weights: .float32, adapters: adapters))
        let found = try await withThrowingTaskGroup(of: (String, String).self) { group in
            for name in expected.keys {
                group.addTask {
                    (name, try await model.complete(request("one two", name == "none" ? nil : name))[0].text)
                }
            }
            return try await group.reduce(into: [String: String]()) { $0[$1.0] = $1.1 }
        }
        #expect(found == expected)
    }

    @Test("a name that the model does not have is refused with those it has")
    func unknown() async throws {
        let folder = try ScratchFolder()
        let (base, adapters) = try family(folder.url, adapters: ["planner"])
        let model = try LocalModel(folder: base, options: .init(weights: .float32, adapters: adapters))
        let error = await #expect(throws: LanguageModelError.self) { try await model.complete(request("a", "planer")) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("it has planner"))
    }

    @Test(
        "PEFT's other settings are followed or refused",
        arguments: [
            (#""use_rslora": true"#, nil), (#""colour": "blue""#, "colour"),
        ]
            as [(String, String?)])
    func settings(field: String, refusal: String?) throws {
        let folder = try ScratchFolder()
        let (_, adapters) = try family(folder.url, adapters: ["planner"])
        let target = try #require(adapters["planner"])
        let file = target.appendingPathComponent("adapter_config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacing("\"r\"", with: "\(field), \"target_modules\": \"all-linear\", \"r\"", maxReplacements: 1)
            .write(to: file, atomically: true, encoding: .utf8)
        guard let refusal else {
            _ = try Checkpoint(folder: target).network()
            return
        }
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: target).network() }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(refusal))
    }
}
