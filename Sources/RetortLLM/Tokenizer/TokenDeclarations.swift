import Foundation
import RetortCore

/// Tokens that a folder declares outside `tokenizer.json`: in `tokenizer_config.json`, or in the older
/// `special_tokens_map.json` and `added_tokens.json`. transformers adds them to those of `tokenizer.json` in this
/// order.
struct TokenDeclarations {
    struct Token {
        let content: String
        /// The id that a file gives it; nil when it gives none.
        var id: Int?
        var special: Bool
        var normalized: Bool
        var stripsLeft = false
        var stripsRight = false
        var singleWord = false
        /// Whether it overrides the same token in `tokenizer.json`.
        var overrules = false
    }

    /// The tokens with a role, by names such as `bos_token`.
    private(set) var named: [String: String] = [:]
    private(set) var tokens: [Token] = []

    /// - Throws: `CheckpointError` that names a file that is not a JSON object.
    init(_ source: CheckpointSource) throws {
        var settings = try source.object("tokenizer_config.json") ?? [:]
        if let decoder = settings["added_tokens_decoder"]?.object {
            let path = source.path(of: "tokenizer_config.json")
            tokens = try decoder.map { id, value in
                guard let id = Int(id), let fields = value.object, let content = fields["content"]?.string else {
                    throw CheckpointError.malformed(file: path, "an entry of added_tokens_decoder is no token")
                }
                return Self.token(content, fields, id: id)
            }
        } else {
            for (name, value) in try source.object("special_tokens_map.json") ?? [:] { settings[name] = value }
        }
        named = Self.named(settings)
        let extra = Self.extra(settings)
        let special = Set(named.values).union(extra.map(\.content))
        if settings["added_tokens_decoder"]?.object == nil, let added = try source.object("added_tokens.json") {
            let path = source.path(of: "added_tokens.json")
            tokens = try added.map { content, value in
                guard case .integer(let id) = value else {
                    throw CheckpointError.malformed(file: path, "'\(content)' has no id")
                }
                let isSpecial = special.contains(content)
                return Token(content: content, id: id, special: isSpecial, normalized: !isSpecial)
            }
        }
        tokens.sort { ($0.id ?? 0) < ($1.id ?? 0) }
        for index in tokens.indices where special.contains(tokens[index].content) { tokens[index].special = true }
        let known = Set(tokens.map(\.content))
        tokens += named.sorted { Self.place($0.key) < Self.place($1.key) }.map { name, content in
            let fields = settings[name]?.object ?? [:]
            return Self.token(content, fields.merging(["special": true]) { _, special in special }, id: nil)
        }.filter { !known.contains($0.content) }
        tokens += extra.filter { !known.contains($0.content) }
        // Some models name further tokens, as 'image_token', for their templates.
        for (name, value) in settings["extra_special_tokens"]?.object ?? [:] {
            named[name] = value.string ?? value["content"]?.string
        }
    }

    /// The order in which transformers processes the roles.
    private static let roles = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    private static func place(_ name: String) -> (Int, String) { (roles.firstIndex(of: name) ?? roles.count, name) }

    private static func named(_ settings: [String: JSONValue]) -> [String: String] {
        settings.filter { $0.key.hasSuffix("_token") }.compactMapValues { $0.string ?? $0["content"]?.string }
    }

    private static func extra(_ settings: [String: JSONValue]) -> [Token] {
        let lists = ["extra_special_tokens", "additional_special_tokens"].map { settings[$0] }
        let first = lists.compactMap { value -> [JSONValue]? in
            let list = value?.array ?? value?.object.map { $0.sorted { $0.key < $1.key }.map(\.value) }
            return list?.isEmpty == false ? list : nil
        }.first
        return (first ?? []).compactMap { value in
            guard let content = value.string ?? value["content"]?.string else { return nil }
            return token(content, (value.object ?? [:]).merging(["special": true]) { _, special in special }, id: nil)
        }
    }

    private static func token(_ content: String, _ fields: [String: JSONValue], id: Int?) -> Token {
        func flag(_ name: String) -> Bool? { if case .bool(let value) = fields[name] { value } else { nil } }
        let special = flag("special") ?? false
        return Token(
            content: content, id: id, special: special, normalized: flag("normalized") ?? !special,
            stripsLeft: flag("lstrip") ?? false, stripsRight: flag("rstrip") ?? false,
            singleWord: flag("single_word") ?? false, overrules: id != nil)
    }
}

extension TokenizerDefinition {
    /// A folder's `tokenizer.json`, with the tokens that its other files declare.
    init(folder: URL) throws {
        let own = try Self(folder.appendingPathComponent("tokenizer.json"))
        self = try own.declaring(TokenDeclarations(.folder(folder)))
    }

    /// The definition, including tokens that other documents declare.
    func declaring(_ declarations: TokenDeclarations) throws -> TokenizerDefinition {
        var definition = self
        for token in declarations.tokens { try definition.declare(token) }
        return definition
    }

    /// Adds a token as `tokenizers` does: a token of the vocabulary keeps its id, a new one gets the next id.
    private mutating func declare(_ token: TokenDeclarations.Token) throws {
        let content = Array(token.content.utf8)
        guard !content.isEmpty else { return }
        if let place = addedTokens.firstIndex(where: { $0.content == content }) {
            if token.overrules { addedTokens[place] = Self.added(token, content, addedTokens[place].id) }
            return
        }
        let id: Int32
        if let known = ids[content] {
            id = known
        } else {
            let highest = addedTokens.map { Int($0.id) }.max() ?? -1
            id = Int32(max(highest + 1, modelSize))
            if let stated = token.id, stated != Int(id) {
                throw TokenizerError.malformed(
                    file: file,
                    "another file of its folder declares '\(token.content)' as token \(stated), "
                        + "where the next free one is \(id)")
            }
        }
        ids[content] = id
        addedTokens.append(Self.added(token, content, id))
    }

    private static func added(_ token: TokenDeclarations.Token, _ content: [UInt8], _ id: Int32) -> AddedToken {
        AddedToken(
            id: id, content: content, special: token.special, normalized: token.normalized,
            stripsLeft: token.stripsLeft, stripsRight: token.stripsRight, singleWord: token.singleWord)
    }
}
