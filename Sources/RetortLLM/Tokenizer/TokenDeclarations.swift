import Foundation
import RetortCore

/// Tokens that a folder declares outside `tokenizer.json`: in `tokenizer_config.json`, or in the older
/// `special_tokens_map.json` and `added_tokens.json`. transformers adds them to those of `tokenizer.json` in this
/// order.
struct TokenDeclarations {
    struct Token {
        let content: [UInt8]
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
    let named: [String: String]
    /// Those with an id first, in its order.
    let tokens: [Token]

    /// - Throws: `CheckpointError` that names a file that is not a JSON object, or a setting that is not supported.
    init(_ source: CheckpointSource) throws {
        let settings = try SpecialTokenSettings(source)
        named = Dictionary(
            settings.named.map { ($0.name, String(decoding: $0.token.content, as: UTF8.self)) },
            uniquingKeysWith: { _, last in last })
        let special = Set(settings.named.map(\.token.content))
        var listed =
            try settings.decoder.map { try Self.tokens(ofDecoder: $0, source) } ?? Self.olderTokens(source, settings)
        listed.sort { ($0.id ?? 0) < ($1.id ?? 0) }
        for index in listed.indices where special.contains(listed[index].content) { listed[index].special = true }
        let known = Set(listed.map(\.content))
        let named = settings.named.map { Self.token($0.token, hasRole: true) }
        let extra = settings.extra.map { Self.token($0, hasRole: false) }
        tokens = listed + (named + extra).filter { !known.contains($0.content) }
    }

    private static func tokens(ofDecoder decoder: JSONTree, _ source: CheckpointSource) throws -> [Token] {
        let members = OrderedMembers(decoder)
        return try members.names.map { id in
            guard let number = Int(id), let value = members[id], value.bytes == nil,
                let entry = SpecialTokenSettings.Entry(value)
            else {
                throw CheckpointError.malformed(
                    file: source.path(of: "tokenizer_config.json"),
                    "the entry '\(id)' of added_tokens_decoder is no token")
            }
            let isSpecial = entry.fields["special"]?.bool ?? false
            return token(entry, id: number, special: isSpecial, normalized: !isSpecial)
        }
    }

    /// The tokens of `added_tokens.json`.
    private static func olderTokens(_ source: CheckpointSource, _ settings: SpecialTokenSettings) throws -> [Token] {
        guard case .object(let members)? = try source.tree("added_tokens.json") else { return [] }
        let special = settings.contentsWithRole
        return try members.map { content, value in
            guard let id = value.id else {
                let text = String(decoding: content, as: UTF8.self)
                throw CheckpointError.malformed(file: source.path(of: "added_tokens.json"), "'\(text)' has no id")
            }
            let isSpecial = special.contains(content)
            return Token(content: content, id: Int(id), special: isSpecial, normalized: !isSpecial)
        }
    }

    /// A token of a setting. What has a role is special whatever its flags are.
    private static func token(_ entry: SpecialTokenSettings.Entry, hasRole: Bool) -> Token {
        let isSpecial = entry.fields["special"]?.bool ?? !entry.isTyped
        return token(entry, id: nil, special: hasRole || !entry.isTyped || isSpecial, normalized: !isSpecial)
    }

    private static func token(
        _ entry: SpecialTokenSettings.Entry, id: Int?, special: Bool, normalized: Bool
    ) -> Token {
        func flag(_ name: String) -> Bool? { entry.fields[name]?.bool }
        return Token(
            content: entry.content, id: id, special: special, normalized: flag("normalized") ?? normalized,
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
        let content = token.content
        guard !content.isEmpty else { return }
        if let place = addedTokens.firstIndex(where: { $0.content == content }) {
            if token.overrules { addedTokens[place] = Self.added(token, addedTokens[place].id) }
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
                    "another file of its folder declares '\(String(decoding: content, as: UTF8.self))' as token \(stated), "
                        + "where the next free one is \(id)")
            }
        }
        ids[content] = id
        addedTokens.append(Self.added(token, id))
    }

    private static func added(_ token: TokenDeclarations.Token, _ id: Int32) -> AddedToken {
        AddedToken(
            id: id, content: token.content, special: token.special, normalized: token.normalized,
            stripsLeft: token.stripsLeft, stripsRight: token.stripsRight, singleWord: token.singleWord)
    }
}
