import ArgumentParser
import Foundation
import RetortCore
import RetortDomains
import RetortLLM
import RetortRecipes
import RetortRetrieval

/// `retort index`
struct IndexCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "Build the index of a corpus of passages, by words and by meaning.",
        discussion: """
            The corpus is one or more files of JSON Lines of {"id", "contents"}, the title on the first line of the \
            contents, optionally compressed by gzip, such as wiki-18; several files form one corpus in their order. \
            Memory does not grow with it. A build that was killed is resumed when it is started again.

              retort index wiki-18.jsonl.gz --to wiki-18.sqlite
              retort index part-*.jsonl --to wiki.sqlite --encoder intfloat/e5-base-v2 --passage-prompt 'passage: '
              retort serve-passages wiki.sqlite --search dense --encoder intfloat/e5-base-v2 \
            --query-prompt 'query: ' --passage-prompt 'passage: '

            With an encoder, the vectors are stored beside the index, and vectors of texts that were embedded before \
            are kept. A domain searches an index with 'documents: {path: wiki.sqlite}'.
            """)

    @Argument(help: "Files of passages.") var corpus: [String]
    @Option(name: .customLong("to"), help: "The index to write (.sqlite).") var index: String
    @Option(help: "An encoder's folder or name: passages get vectors, too.") var encoder: String?
    @Option(help: "The prompt for queries, instead of the one in the encoder's files.") var queryPrompt: String?
    @Option(help: "The prompt for passages, instead of the one in the encoder's files.") var passagePrompt: String?
    @Option(help: "How the encoder's weights are held: float32 or bfloat16; by default what is fastest here.")
    var weights: WeightPrecision?
    @Option(help: "The most memory for the index of vectors, in GiB (a quarter of it).") var memory: Double?

    func validate() throws {
        guard !corpus.isEmpty else { throw ValidationError("name the files of passages") }
        guard index.hasSuffix(".sqlite") else { throw ValidationError("--to must end in .sqlite") }
        guard memory.map({ $0 > 0 && $0 < 1e6 }) != false else { throw ValidationError("--memory must be above 0") }
        if let weights, weights != .float32, weights != .bfloat16 {
            throw ValidationError("--weights must be float32 or bfloat16")
        }
        if encoder == nil, queryPrompt != nil || passagePrompt != nil || weights != nil || memory != nil {
            throw ValidationError("prompts, --weights and --memory are for an --encoder")
        }
    }

    private static func holdsPassage(_ file: URL) throws -> Bool {
        struct Found: Error {}
        guard FileManager.default.isReadableFile(atPath: file.path) else { return true }
        do {
            try JSONLinesFile(file).forEach(JSONValue.self) { _, _ in throw Found() }
            return false
        } catch is Found {
            return true
        }
    }

    func run() async throws {
        let progress = embeddingProgress()
        let file = URL(fileURLWithPath: index)
        let files = corpus.map { URL(fileURLWithPath: $0) }
        guard try files.contains(where: Self.holdsPassage) else {
            throw ValidationError("\(corpus.joined(separator: ", ")): there is no passage to index")
        }
        let count = try PassageIndex.buildIfNeeded(from: files, to: file) { progress(.words($0)) }
        print("\(index): \(count) passages")
        guard let encoder else { return }
        let model = try await LocalRetrievalModels(weights: weights)
            .encoder(encoder, prompts: (queryPrompt, passagePrompt)).model
        let vectors = OpenedDocuments.vectors(of: file)
        try await DenseIndex.buildIfNeeded(
            of: PassageIndex(file), by: model, to: vectors,
            store: OpenedDocuments.store(of: model, in: file.deletingLastPathComponent()),
            memory: memory.map { Int($0 * Double(1 << 30)) }, progress: progress)
        print("\(vectors.path): \(count) vectors of \(model.dimensions) elements")
    }
}
