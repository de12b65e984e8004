import Foundation
import RetortCore

/// What a `tokenizer.json` says, read byte for byte.
struct TokenizerDefinition {
    let file: String
    let tree: JSONTree
    /// The vocabulary, with the added tokens.
    var ids: [[UInt8]: Int32]
    var addedTokens: [AddedToken]
    /// How many tokens the model has, without those added to it.
    let modelSize: Int
    /// The model of a vocabulary that has scores in the place of merges.
    var pieces: PieceModel?

    /// Larger files are refused: the largest published ones have about 35 MB.
    private static let largestFile = 256 << 20

    init(_ file: URL) throws {
        self.file = file.path
        guard let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize,
            let data = try? Data(contentsOf: file, options: .mappedIfSafe)
        else { throw TokenizerError.missing(file: file.path) }
        guard size <= Self.largestFile else {
            throw TokenizerError.malformed(
                file: file.path, "it has \(size) bytes; at most \(Self.largestFile) are read")
        }
        do {
            tree = try JSONTree.parse(Array(CheckpointJSON.withoutMark(data)))
        } catch {
            throw TokenizerError.malformed(file: file.path, "\(error)")
        }
        addedTokens = try (tree["added_tokens"]?.array ?? []).map { try Self.addedToken($0, file: file.path) }
        let vocabulary = try Self.vocabulary(of: tree, file: file.path)
        modelSize = vocabulary.count
        ids = vocabulary.merging(addedTokens.map { ($0.content, $0.id) }) { $1 }
    }

    /// A definition that comes from another kind of file.
    /// - Parameter tree: what a `tokenizer.json` would say, without vocabulary and added tokens.
    init(file: String, tree: JSONTree, vocabulary: [[UInt8]: Int32], addedTokens: [AddedToken], pieces: PieceModel?) {
        self.file = file
        self.tree = tree
        self.addedTokens = addedTokens
        self.pieces = pieces
        modelSize = vocabulary.count
        ids = vocabulary.merging(addedTokens.map { ($0.content, $0.id) }) { $1 }
    }

    private static func vocabulary(of tree: JSONTree, file: String) throws -> [[UInt8]: Int32] {
        guard let model = tree["model"] else { throw TokenizerError.malformed(file: file, "it has no 'model'") }
        if case .array(let pieces)? = model["vocab"] {
            // A unigram model's pieces are numbered by their places.
            guard pieces.count < largestID else {
                throw TokenizerError.malformed(file: file, "it has \(pieces.count) pieces")
            }
            let named = pieces.enumerated().compactMap { number, piece in
                piece.array?.first?.bytes.map { ($0, Int32(number)) }
            }
            return Dictionary(named, uniquingKeysWith: { _, last in last })
        }
        guard case .object(let entries)? = model["vocab"] else {
            throw TokenizerError.malformed(file: file, "the model has no 'vocab'")
        }
        var ids: [[UInt8]: Int32] = [:]
        ids.reserveCapacity(entries.count)
        for (token, value) in entries {
            guard let id = value.id, id >= 0, id < largestID else {
                throw TokenizerError.malformed(
                    file: file, "the id of '\(String(decoding: token, as: UTF8.self))' is no token id")
            }
            ids[token] = id
        }
        return ids
    }

    /// Ids beyond this would make tables of gigabytes.
    private static let largestID: Int32 = 1 << 24

    private static func addedToken(_ tree: JSONTree, file: String) throws -> AddedToken {
        guard let id = tree["id"]?.id, id >= 0, id < largestID, let content = tree["content"]?.bytes else {
            throw TokenizerError.malformed(file: file, "an added token needs 'id' and 'content'")
        }
        let special = tree["special"]?.bool ?? false
        return AddedToken(
            id: id, content: content, special: special, normalized: tree["normalized"]?.bool ?? !special,
            stripsLeft: tree["lstrip"]?.bool ?? false, stripsRight: tree["rstrip"]?.bool ?? false,
            singleWord: tree["single_word"]?.bool ?? false)
    }

    /// The part of that name, unless it is null.
    func part(_ name: String) -> JSONTree? { tree[name].flatMap { $0.isNull ? nil : $0 } }

    /// What stands before and behind a single text: `[CLS]` and `[SEP]`, or a beginning-of-text token.
    func frame() throws -> (opening: [Int32], closing: [Int32]) {
        guard let processor = part("post_processor") else { return ([], []) }
        for step in processor["processors"]?.array ?? [processor] {
            switch step["type"]?.string ?? "?" {
            case "ByteLevel": continue
            case "TemplateProcessing": return templateFrame(step)
            case "BertProcessing", "RobertaProcessing":
                return (
                    [step["cls"], step["sep"]].compactMap { $0?.array?.last?.id }.prefix(1).map(\.self),
                    [step["sep"]].compactMap { $0?.array?.last?.id }
                )
            case let type: throw TokenizerError.unsupported(file: file, "the post-processor \(type)")
            }
        }
        return ([], [])
    }

    private func templateFrame(_ step: JSONTree) -> (opening: [Int32], closing: [Int32]) {
        var frame: (opening: [Int32], closing: [Int32]) = ([], [])
        var isBehind = false
        for piece in step["single"]?.array ?? [] {
            if piece["Sequence"] != nil { isBehind = true }
            guard let name = piece["SpecialToken"]?["id"]?.string else { continue }
            let ids = step["special_tokens"]?[name]?["ids"]?.array?.compactMap(\.id) ?? []
            if isBehind { frame.closing += ids } else { frame.opening += ids }
        }
        return frame
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

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; a checkpoint folder needs its tokenizer.json"
        case .malformed(let file, let reason): "\(file) is not a tokenizer definition: \(reason)"
        case .noMerges(let file): "\(file) has no merges, so its vocabulary cannot be used; take the complete file"
        case .unknownMerge(let file, let merge): "\(file): the merge '\(merge)' names tokens outside the vocabulary"
        case .unsupported(let file, let what):
            "\(file): \(what) is not supported; BPE (GPT-2, Qwen, Llama, Gemma, Phi), Unigram (XLM-RoBERTa) and WordPiece (BERT) are"
        case .badPattern(let file, let pattern): "\(file): the split pattern cannot be compiled: \(pattern)"
        case .noChatFormat(let known):
            "the tokenizer has the markers of no chat format that is known (\(known.joined(separator: ", ")))"
        case .missingToken(let token): "the tokenizer has no token '\(token)', which is needed"
        }
    }
}
