import Foundation
import RetortCore

/// A tokenizer for encoders: it frames texts and pairs of texts, and cuts them to the longest input of the network.
struct EncoderTokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let frame: TokenFrame
    private let lowercases: Bool
    private let vocabularySize: Int
    let longest: Int

    /// - Parameter longest: the limit in sentence-transformers' files; nil takes the tokenizer's own limit or the
    ///   network's.
    init(_ folder: URL, _ shape: EncoderShape, longest: Int?, lowercases: Bool) throws {
        let definition = try CheckpointSource.folder(folder).tokenizerDefinition()
        tokenizer = try Tokenizer(definition)
        frame = try TokenFrame(definition)
        guard frame.count > 0 else {
            throw CheckpointError.unsupported(
                file: definition.file,
                "an encoder's tokenizer without a post-processor that adds a token (such as Qwen3-Embedding's end of text)"
            )
        }
        self.lowercases = lowercases
        vocabularySize = shape.vocabularySize
        guard tokenizer.vocabularySize <= shape.vocabularySize else {
            throw CheckpointError.malformed(
                file: definition.file,
                "it has \(tokenizer.vocabularySize) tokens, and the network knows \(shape.vocabularySize)")
        }
        let config = folder.appendingPathComponent("tokenizer_config.json")
        let settings = try CheckpointJSON.object(config)
        if let side = settings?["truncation_side"]?.string, side != "right" {
            throw CheckpointError.unsupported(file: config.path, "'truncation_side' with the value '\(side)'")
        }
        let own = settings?["model_max_length"]?.double.map { $0 < 1e9 ? Int($0) : Int.max } ?? .max
        self.longest = min(longest ?? own, shape.longest)
        guard self.longest > frame.count else {
            throw CheckpointError.malformed(file: definition.file, "there is no room for a token in \(self.longest)")
        }
    }

    private func ids(_ text: String) -> [Int32] {
        tokenizer.encode(lowercases ? text.lowercased() : text, specials: .recognised)
    }

    /// A text between the format's special tokens; a text that is too long is cut at its end.
    func tokens(of text: String) -> [Int32] {
        frame.opening + ids(text).prefix(longest - frame.count) + frame.closing
    }

    /// Two texts as one input; the longer one is cut first (`longest_first` of the `tokenizers` library).
    func pair(_ first: String, _ second: String) -> EncoderBatch.Sequence {
        var (one, other) = (ids(first)[...], ids(second)[...])
        let room = longest - frame.pairCount
        if one.count + other.count > room {
            let (ofOne, ofOther) = Self.longestFirst(one.count, other.count, room: room)
            (one, other) = (one.prefix(ofOne), other.prefix(ofOther))
        }
        let head = frame.opening + one + frame.middle
        return EncoderBatch.Sequence(
            tokens: head + other + frame.closing, second: frame.secondHasOwnType ? head.count : nil)
    }

    /// How much of each of two texts is kept: the shorter one whole if it fits, otherwise half the room for each.
    static func longestFirst(_ one: Int, _ other: Int, room: Int) -> (Int, Int) {
        let (short, long) = (min(one, other), max(one, other))
        var kept: (short: Int, long: Int)
        if short > room / 2 {
            kept = (room / 2, room - room / 2)
        } else {
            kept = (short, min(long, room - short))
        }
        return one <= other ? (kept.short, kept.long) : (kept.long, kept.short)
    }
}

/// The special tokens that a format puts around a text, and between two texts.
struct TokenFrame: Sendable {
    let opening, middle, closing: [Int32]
    /// Whether the tokens after the middle have type 1.
    let secondHasOwnType: Bool

    var count: Int { opening.count + closing.count }
    var pairCount: Int { count + middle.count }

    /// - Throws: `TokenizerError` for a post-processor with another framing.
    init(_ definition: TokenizerDefinition) throws {
        let frame = try definition.frame()
        (opening, closing) = frame
        guard let processor = definition.part("post_processor") else {
            (middle, secondHasOwnType) = ([], false)
            return
        }
        let steps = processor["processors"]?.array ?? [processor]
        guard let step = steps.first(where: { $0["type"]?.string != "ByteLevel" }) else {
            (middle, secondHasOwnType) = ([], false)
            return
        }
        switch step["type"]?.string {
        case "BertProcessing": (middle, secondHasOwnType) = (frame.closing, true)
        case "RobertaProcessing": (middle, secondHasOwnType) = (frame.closing + frame.closing, false)
        default:
            var seen = 0
            var between: [Int32] = []
            var type = 0
            for piece in step["pair"]?.array ?? [] {
                if let sequence = piece["Sequence"] {
                    seen += 1
                    if seen == 2 { type = Int(sequence["type_id"]?.id ?? 0) }
                } else if seen == 1, let name = piece["SpecialToken"]?["id"]?.string {
                    between += step["special_tokens"]?[name]?["ids"]?.array?.compactMap(\.id) ?? []
                }
            }
            (middle, secondHasOwnType) = (between, type == 1)
        }
    }
}
