import Foundation
import RetortCore
import RetortTensor

@testable import RetortLLM

/// A Seedling's batch whose rounds a test runs one by one.
final class BatchByHand {
    /// How keys and values are stored.
    enum Kind: CaseIterable {
        case paged, dense, denseInFixedShapes
    }

    typealias Reply = AsyncThrowingStream<GenerationEvent, any Error>

    let network: DecoderNetwork
    let batch: any SampleBatch
    private let checkpoint: Checkpoint

    /// - Parameter cacheTokens: how many tokens the cache has room for; nil for any.
    init(_ kind: Kind, maximumSamples: Int = 64, cacheTokens: Int? = nil, prefixTokens: Int = 0) throws {
        checkpoint = try Checkpoint(folder: seedlings.appendingPathComponent("1m"))
        network = try checkpoint.network()
        let page = KeyValuePages.bytes(ofPage: network.configuration, network.embedTokens.dtype)
        var options = LocalModel.Options(maximumSamples: maximumSamples, prefixTokens: prefixTokens, drafts: false)
        if let cacheTokens { options.cacheBytes = cacheTokens * page / KeyValuePages.pageTokens }
        switch kind {
        case .paged: batch = try PagedBatch(network, options: options)
        case .dense:
            options.stepping = .growing
            batch = DenseBatch(network, options: options)
        case .denseInFixedShapes:
            options.stepping = .fixed
            batch = DenseBatch(network, options: options)
        }
    }

    /// Has a request wait.
    /// - Parameter prompt: its tokens; nil takes the text's.
    func ask(
        _ text: String, samples: Int = 1, tokens: Int, temperature: Double = 0, adapter: Int? = nil,
        prompt: [Int32]? = nil
    ) throws -> Reply {
        let (reply, continuation) = Reply.makeStream()
        let request = GenerationRequest(
            messages: [], samples: samples, sampling: Sampling(temperature: temperature, seed: 1),
            maximumTokens: tokens)
        let pending = PendingRequest(request, checkpoint.voice, continuation)
        pending.prompt = prompt ?? checkpoint.tokenizer.encode(text, specials: .asText)
        pending.adapter = adapter
        try batch.add(pending)
        return reply
    }

    /// Runs rounds until nothing is left to do.
    func finish() { while !batch.isEmpty { batch.round() } }

    /// Has the network fail for every token of an adapter: its matrices fit no projection.
    func breakAdapter(_ number: Int) throws {
        let matrix = try Tensor.zeros([3, 5])
        network.projections[0].linear.served[number] = LowRankAdapter(down: matrix, up: matrix, scale: 1)
    }
}

/// A reply's texts, sample by sample.
func texts(_ reply: BatchByHand.Reply) async throws -> [String] {
    var texts: [Int: String] = [:]
    for try await case .finished(let sample, let completion) in reply { texts[sample] = completion.text }
    return texts.sorted { $0.key < $1.key }.map(\.value)
}
