import Foundation
import RetortCore
import RetortLLM
import RetortServer
import RetortTensor
import Testing

@Suite("Adapters as model names")
struct AdapterServingTests {
    /// Adapters of the seedling that each change what it says.
    private func adapters(_ names: [String], in folder: URL) throws -> [String: URL] {
        var folders: [String: URL] = [:]
        for (number, name) in names.enumerated() {
            let network = try Checkpoint(folder: seedling).network()
            for (place, (_, linear)) in network.projections.enumerated() {
                let seed = UInt64(1000 * number + place)
                linear.adapter = LowRankAdapter(
                    down: try Tensor.normal([2, linear.weight.shape[1]], deviation: 0.2, seed: seed),
                    up: try Tensor.normal([linear.weight.shape[0], 2], deviation: 0.2, seed: seed + 500), scale: 1)
            }
            let configuration = AdapterConfiguration(
                baseModel: seedling.path, rank: 2, alpha: 2, dropout: 0, targets: ["q_proj"])
            folders[name] = folder.appendingPathComponent(name)
            try AdapterFile.write(network, configuration, to: folder.appendingPathComponent(name))
        }
        return folders
    }

    @Test("asked at once, each answers as it does alone, merged into its own weights")
    func mixed() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let adapters = try adapters(["caller", "planner"], in: folder)
        let model = try LocalModel(
            folder: seedling, identity: "1m", options: .init(weights: .float32, adapters: adapters))
        var catalogue = ModelCatalogue()
        try catalogue.add("1m", model)
        var expected: [String: String] = [:]
        let request = GenerationRequest(messages: [Message(.user, "hello")], maximumTokens: 12)
        expected["1m"] = try await LocalModel(folder: seedling, options: .init(weights: .float32)).complete(request)[0]
            .text
        for (name, place) in adapters {
            try catalogue.add(name, model, adapter: name)
            expected[name] = try await LocalModel(folder: place, options: .init(weights: .float32)).complete(request)[0]
                .text
        }
        #expect(throws: CatalogueError.taken("planner")) { try catalogue.add("planner", model) }
        #expect(Set(expected.values).count == 3)
        let answers = expected
        try await TestServer.run(catalogue) { server in
            try await withThrowingTaskGroup(of: (String, String?).self) { group in
                for name in answers.keys {
                    for _ in 0..<3 {
                        group.addTask {
                            let reply = try await server.chat("hello", model: name)
                            return (name, reply.json["choices"]?.array?.first?["message"]?["content"]?.string)
                        }
                    }
                }
                for try await (name, text) in group { #expect(text == answers[name]) }
            }
            let planner = try await server.get("/v1/models/planner")
            #expect(planner.json["retort"] == ["kind": "adapter", "weights": "1m"])
        }
    }
}
