import Foundation
import RetortCore

/// A token that stands outside the merges.
struct AddedToken: Decodable, Sendable {
    let id: Int32
    let content: String
    let special: Bool
}

/// What `tokenizer.json` says, as far as a byte-level BPE needs it; anything else is refused by name.
struct TokenizerDefinition: Decodable {
    struct Model: Decodable {
        let type: String?
        let vocab: [String: Int32]
        let merges: [MergePair]
        let ignoreMerges: Bool?

        enum CodingKeys: String, CodingKey {
            case type, vocab, merges
            case ignoreMerges = "ignore_merges"
        }
    }

    /// `"a b"` in older files, `["a", "b"]` in newer ones.
    struct MergePair: Decodable {
        let left: String
        let right: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            let parts: [String]
            if let pair = try? container.decode([String].self) {
                parts = pair
            } else {
                parts = try container.decode(String.self).split(separator: " ", maxSplits: 1).map(String.init)
            }
            guard parts.count == 2 else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "a merge needs two tokens")
            }
            (left, right) = (parts[0], parts[1])
        }
    }

    let model: Model
    let addedTokens: [AddedToken]
    private let normalizer: JSONValue?
    private let preTokenizer: JSONValue?

    enum CodingKeys: String, CodingKey {
        case model, normalizer
        case addedTokens = "added_tokens"
        case preTokenizer = "pre_tokenizer"
    }

    init(_ file: URL) throws {
        guard let data = try? Data(contentsOf: file) else { throw TokenizerError.missing(file: file.path) }
        do {
            let kind = try JSONCoding.decoder.decode(Kind.self, from: data).model
            guard kind.type ?? "BPE" == "BPE" else {
                throw TokenizerError.unsupported(file: file.path, "the model type \(kind.type ?? "")")
            }
            guard kind.merges != nil else { throw TokenizerError.noMerges(file: file.path) }
            self = try JSONCoding.decoder.decode(Self.self, from: data)
        } catch let error as DecodingError {
            throw TokenizerError.malformed(file: file.path, "\(error)")
        }
        guard !model.merges.isEmpty else { throw TokenizerError.noMerges(file: file.path) }
    }

    /// Just enough to tell what kind of model it is.
    private struct Kind: Decodable {
        struct Model: Decodable {
            let type: String?
            let merges: JSONValue?
        }
        let model: Model
    }

    func normalisesNFC(file: URL) throws -> Bool {
        switch normalizer {
        case nil, .null: return false
        case .some(let value):
            let type = value["type"]?.string ?? "?"
            guard type == "NFC" else { throw TokenizerError.unsupported(file: file.path, "the normalizer \(type)") }
            return true
        }
    }

    /// The word splitter that the pre-tokenizer describes.
    func splitter(file: URL) throws -> WordSplitter {
        let steps = preTokenizer?["pretokenizers"]?.array ?? [preTokenizer ?? .null]
        var pattern: String?
        for step in steps {
            switch step["type"]?.string {
            case "ByteLevel":
                if step["add_prefix_space"] == .bool(true) {
                    throw TokenizerError.unsupported(file: file.path, "add_prefix_space")
                }
                if step["use_regex"] != .bool(false), pattern == nil { pattern = WordSplitter.gpt2 }
            case "Split":
                guard let regex = step["pattern"]?["Regex"]?.string, step["behavior"]?.string == "Isolated",
                    step["invert"] != .bool(true), pattern == nil
                else { throw TokenizerError.unsupported(file: file.path, "this Split pre-tokenizer") }
                pattern = regex
            case let type:
                throw TokenizerError.unsupported(file: file.path, "the pre-tokenizer \(type ?? "none")")
            }
        }
        return try WordSplitter(pattern ?? "", file: file.path)
    }
}

/// A tokenizer that cannot be used.
public enum TokenizerError: Error, CustomStringConvertible {
    case missing(file: String)
    case malformed(file: String, String)
    case noMerges(file: String)
    case unknownMerge(file: String, String)
    case unsupported(file: String, String)
    case badPattern(file: String, pattern: String)
    case missingToken(String)
    case noChatFormat(known: [String])

    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; a checkpoint folder needs its tokenizer.json"
        case .malformed(let file, let reason): "\(file) is not a tokenizer definition: \(reason)"
        case .noMerges(let file): "\(file) has no merges, so its vocabulary cannot be used; take the complete file"
        case .unknownMerge(let file, let merge): "\(file): the merge '\(merge)' names tokens outside the vocabulary"
        case .unsupported(let file, let what):
            "\(file): \(what) is not supported; byte-level BPE tokenizers (GPT-2, Qwen2, Llama 3) are"
        case .badPattern(let file, let pattern): "\(file): the split pattern cannot be compiled: \(pattern)"
        case .noChatFormat(let known):
            "the tokenizer has the markers of no chat format that is known (\(known.joined(separator: ", ")))"
        case .missingToken(let token): "the tokenizer has no token '\(token)', which is needed"
        }
    }
}
