import ArgumentParser
import Foundation
import RetortCore
import RetortLLM
import RetortRecipes

/// `retort embed`
struct EmbedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed",
        abstract: "Turn lines of text into vectors with an encoder, or score them against a query.",
        discussion: """
            Each line of the file is a JSON string; each line printed is the JSON array of its vector, or with --query the score \
            that a cross-encoder gives the query and the line.

              retort embed minilm lines.jsonl
              retort embed BAAI/bge-small-en-v1.5 questions.jsonl --as query
              retort embed Qwen/Qwen3-Embedding-0.6B questions.jsonl --as query
              retort embed cross-encoder/ms-marco-MiniLM-L6-v2 passages.jsonl --query "how tall is the tower"

            Encoders like BERT, RoBERTa, XLM-RoBERTa and ModernBERT are supported, with sentence-transformers' files for \
            pooling, length and prompts, and Qwen3-Embedding, which needs these files.
            """)

    @Argument(help: "An encoder's folder or name.") var encoder: String
    @Argument(help: "The file of JSON strings.") var lines: String
    @Option(
        name: .customLong("as"),
        help: "What the texts are: query or passage; it decides which prompt goes before them (passage)."
    )
    var kind: EmbeddedText?
    @Option(help: "Score each line against this query: the model is a cross-encoder.") var query: String?
    @Option(help: "float32 or bfloat16; by default what is fastest here.") var weights: WeightPrecision?
    @Flag(help: "Say on standard error how fast it was, without the opening of the model.") var speed = false

    func validate() throws {
        if let weights, weights != .float32, weights != .bfloat16 {
            throw ValidationError("--weights must be float32 or bfloat16")
        }
        if query != nil, kind != nil {
            throw ValidationError("--as is for vectors; with --query each line is scored as a passage")
        }
    }

    func run() async throws {
        let place = try await NamedModel.place(encoder)
        var texts: [String] = []
        try JSONLinesFile(URL(fileURLWithPath: lines)).forEach(String.self) { text, _ in texts.append(text) }
        let work = if let query { try scoring(texts, query, place) } else { try embedding(texts, place) }
        let start = ContinuousClock.now
        let results = try await work()
        if speed { tell(texts.count, since: start) }
        for result in results { print(result) }
    }

    /// Opens the model.
    /// - Returns: computes the lines to print.
    private func scoring(_ texts: [String], _ query: String, _ place: URL) throws -> () async throws -> [String] {
        let scorer = try PairScorer(folder: place, weights: weights)
        return { try await scorer.scores(query, texts).map { "\($0)" } }
    }

    /// Opens the model.
    /// - Returns: computes the lines to print.
    private func embedding(_ texts: [String], _ place: URL) throws -> () async throws -> [String] {
        let encoder = try TextEncoder(folder: place, weights: weights)
        let prompt = encoder.prompt(kind ?? .passage)
        return {
            let vectors = try await encoder.embed(texts, prompt: prompt)
            return texts.indices.map { row in
                let vector = vectors[row * encoder.dimensions..<(row + 1) * encoder.dimensions]
                return "[\(vector.map { "\($0)" }.joined(separator: ","))]"
            }
        }
    }

    private func tell(_ count: Int, since start: ContinuousClock.Instant) {
        let seconds = start.duration(to: .now) / .seconds(1)
        let line = "\(count) texts in \(String(format: "%.2f", seconds)) s: \(Int(Double(count) / seconds))/s\n"
        FileHandle.standardError.write(Data(line.utf8))
    }
}

extension EmbeddedText: ExpressibleByArgument {}
