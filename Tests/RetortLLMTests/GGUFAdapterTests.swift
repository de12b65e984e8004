import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Adapters for llama.cpp")
struct GGUFAdapterTests {
    /// A random base with a random adapter beside each projection, in folders.
    private func adapter(_ family: Family, _ folder: URL) throws -> Checkpoint {
        let base = folder.appendingPathComponent("base")
        try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
        let network = try family.write(to: base)
        for (place, (_, linear)) in network.projections.enumerated() {
            linear.adapter = LowRankAdapter(
                down: try Tensor.normal([4, linear.weight.shape[1]], deviation: 0.3, seed: UInt64(place)),
                up: try Tensor.normal([linear.weight.shape[0], 4], deviation: 0.3, seed: UInt64(place) + 50), scale: 2)
        }
        let target = folder.appendingPathComponent("adapter")
        try AdapterFile.write(
            network, AdapterConfiguration(baseModel: base.path, rank: 4, alpha: 8, dropout: 0, targets: []), to: target)
        return try Checkpoint(folder: target)
    }

    @Test(
        "the factors make up the difference between the merged file and the base's, in each family",
        arguments: Family.exportable)
    func difference(family: Family) throws {
        let folder = try ScratchFolder()
        let checkpoint = try adapter(family, folder.url)
        func file(_ name: String) -> URL { folder.url.appendingPathComponent("\(name).gguf") }
        try GGUFAdapterExport.write(checkpoint, name: "a", precision: .f32, to: file("adapter"))
        try GGUFExport.write(checkpoint.network(), of: checkpoint, name: "m", precision: .f32, to: file("merged"))
        let base = try Checkpoint(folder: checkpoint.folder)
        try GGUFExport.write(base.network(), of: base, name: "b", precision: .f32, to: file("base"))
        let (adapter, merged, plain) = (
            try GGUFFile(file("adapter")), try GGUFFile(file("merged")), try GGUFFile(file("base"))
        )
        #expect(adapter.keys["general.architecture"] == plain.keys["general.architecture"])
        #expect(adapter.keys["general.type"] == "adapter")
        #expect(adapter.keys["adapter.type"] == "lora")
        #expect(adapter.keys["adapter.lora.alpha"]?.number == 0)
        let names = Set(adapter.tensors.keys.map { String($0.dropLast(".lora_a".count)) })
        #expect(names.count * 2 == adapter.tensors.count)
        #expect(names.isSuperset(of: ["blk.1.attn_output.weight", "blk.3.ffn_down.weight"]))
        for name in names {
            let shape = try #require(adapter.tensors["\(name).lora_b"]?.shape)
            let up = try Tensor(try #require(adapter.floats("\(name).lora_b")), shape: shape)
            let down = try Tensor(
                try #require(adapter.floats("\(name).lora_a")),
                shape: try #require(adapter.tensors["\(name).lora_a"]?.shape))
            let product = try up.matmul(down).floats()
            let (with, without) = (try #require(merged.floats(name)), try #require(plain.floats(name)))
            #expect(product.count == with.count)
            #expect(product.indices.allSatisfy { abs(with[$0] - without[$0] - product[$0]) < 1e-4 })
        }
    }

    @Test("factors are stored in the precision that is asked for; rows that are no whole blocks in half precision")
    func precision() throws {
        let folder = try ScratchFolder()
        let checkpoint = try adapter(Family.all[0], folder.url)
        let file = folder.url.appendingPathComponent("a.gguf")
        try GGUFAdapterExport.write(checkpoint, name: "a", precision: .q8_0, to: file)
        let found = try GGUFFile(file)
        #expect(found.tensors["blk.0.attn_q.weight.lora_a"]?.storage == 8)
        #expect(found.tensors["blk.0.attn_q.weight.lora_b"]?.storage == 1)
    }

    @Test("what is no adapter is refused, and nothing is written")
    func noAdapter() throws {
        let folder = try ScratchFolder()
        _ = try Family.all[0].write(to: folder.url)
        let file = folder.url.appendingPathComponent("a.gguf")
        let checkpoint = try Checkpoint(folder: folder.url)
        #expect(throws: CheckpointError.self) {
            try GGUFAdapterExport.write(checkpoint, name: "a", precision: .f32, to: file)
        }
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }
}
