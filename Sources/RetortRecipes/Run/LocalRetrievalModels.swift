import Foundation
import RetortCore
import RetortDomains
import RetortHub
import RetortLLM
import RetortRetrieval

/// Encoders and cross-encoders in this process, found like base models: by a folder, or by a name that is fetched if
/// needed.
package struct LocalRetrievalModels: RetrievalModels {
    private let weights: WeightPrecision?

    /// - Parameter weights: float32 or bfloat16; nil takes what is fastest on this machine.
    package init(weights: WeightPrecision? = nil) { self.weights = weights }

    /// Opens an encoder, and fetches it if it is not on this machine.
    package func encoder(
        _ place: String, prompts: (query: String?, passage: String?)
    ) async throws -> OpenedModel<any PassageEncoder> {
        let folder = try await locate(place)
        let encoder = try TextEncoder(folder: folder, weights: weights)
        let query = prompts.query ?? encoder.prompt(.query)
        let passage = prompts.passage ?? encoder.prompt(.passage)
        let (files, content) = try Self.content(of: folder)
        let identity = ContentDigest.of(content + [query, passage])
        let model = LocalEncoder(
            encoder: encoder, identity: "sha256:\(identity)/\(encoder.weights.rawValue)", queryPrompt: query,
            passagePrompt: passage)
        return OpenedModel(model, folder: folder.path, files: files)
    }

    /// Opens a cross-encoder, and fetches it if it is not on this machine.
    package func ranker(_ place: String) async throws -> OpenedModel<any PassageRanker> {
        let folder = try await locate(place)
        let scorer = try PairScorer(folder: folder, weights: weights)
        let (files, content) = try Self.content(of: folder)
        let identity = ContentDigest.of(content + [scorer.weights.rawValue])
        let model = LocalRanker(scorer: scorer, identity: "sha256:\(identity)")
        return OpenedModel(model, folder: folder.path, files: files)
    }

    private func locate(_ place: String) async throws -> URL {
        do {
            return try await ModelLocator().locate(place, progress: FetchLine(place).show)
        } catch let error as HubError {
            throw RetrievalError.noModel(place, reason: "\(error)")
        }
    }

    /// The files of a model, and each file's name with its digest.
    private static func content(of folder: URL) throws -> (files: [String], content: [String]) {
        let (files, digests) = (try files(folder), FileDigests())
        return (files, try files.flatMap { [$0, try digests.file(folder.appendingPathComponent($0))] })
    }

    /// The files of a model: those of its folder, and the configurations and weights of its modules.
    private static func files(_ folder: URL) throws -> [String] {
        let own = try FileDigests.modelFiles(folder)
        let modules = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().flatMap {
            ["\($0)/config.json", "\($0)/model.safetensors"]
        }
        return own
            + modules.filter { name in
                name.first?.isNumber == true
                    && FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path)
            }
    }
}

/// An encoder with the prompts that precede its texts.
private struct LocalEncoder: PassageEncoder {
    let encoder: TextEncoder
    let identity: String
    let queryPrompt, passagePrompt: String

    var dimensions: Int { encoder.dimensions }

    func embedQueries(_ texts: [String]) async throws -> [Float] {
        try await unit(encoder.embed(texts, prompt: queryPrompt))
    }

    func embedPassages(_ texts: [String]) async throws -> [Float] {
        try await unit(encoder.embed(texts, prompt: passagePrompt))
    }

    /// Normalised to length one where only directions are compared, so that the inner product is the cosine.
    private func unit(_ vectors: [Float]) -> [Float] {
        guard encoder.comparesDirections else { return vectors }
        var vectors = vectors
        for start in stride(from: 0, to: vectors.count, by: dimensions) {
            let length = vectors[start..<start + dimensions].reduce(0) { $0 + $1 * $1 }.squareRoot()
            guard length > 0 else { continue }
            for index in start..<start + dimensions { vectors[index] /= length }
        }
        return vectors
    }
}

private struct LocalRanker: PassageRanker {
    let scorer: PairScorer
    let identity: String

    func scores(_ query: String, _ texts: [String]) async throws -> [Float] { try await scorer.scores(query, texts) }
}

/// Reports the progress of embedding passages on standard error.
package func embeddingProgress() -> @Sendable (DenseIndex.Progress) -> Void {
    let lines = EmbeddingLines()
    return { lines.show($0) }
}

private final class EmbeddingLines: @unchecked Sendable {
    // Called by one task at a time.
    // Each starts counting with its first step.
    private lazy var words = ProgressLine("index passages")
    private lazy var joining = ProgressLine("join lists of words, pages")
    private lazy var embedding = ProgressLine("embed passages")
    private lazy var indexing = ProgressLine("index vectors")

    func show(_ progress: DenseIndex.Progress) {
        switch progress {
        case .begun, .words(.finishing): break
        case .words(.read(let count)): words.show(count)
        case .words(.joined(let pages)): joining.show(pages)
        case .embedded(let done, let total): embedding.show(done, of: total)
        case .indexed(let done, let total): indexing.show(done, of: total)
        }
    }
}
