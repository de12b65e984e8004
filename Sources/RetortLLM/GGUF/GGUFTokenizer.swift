import RetortCore

/// The tokenizer in a GGUF file's metadata, translated into a `tokenizer.json` (llama.cpp's `src/llama-vocab.cpp`).
struct GGUFTokenizer {
    typealias Kind = GGUFVocabulary.Kind

    let definition: TokenizerDefinition
    /// The number of ids, including the filler that converters add up to the embedding's rows.
    let count: Int
    /// `bos_token` and other named tokens.
    let named: [String: String]
    /// Tokens that end a reply.
    let ends: [Int]
    private let contents: GGUFContents

    // MARK: Keys

    private static let read: Set<String> = [
        "model", "pre", "tokens", "token_type", "scores", "merges", "bos_token_id", "eos_token_id", "eot_token_id",
        "eom_token_id", "unknown_token_id", "padding_token_id", "add_bos_token", "add_eos_token", "add_space_prefix",
    ]
    /// Keys that name tokens for purposes that are not supported.
    private static let harmless: Set<String> = [
        "seperator_token_id", "separator_token_id", "cls_token_id", "mask_token_id", "prefix_token_id",
        "suffix_token_id", "middle_token_id", "fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id",
        "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id", "token_type_count",
    ]
    /// Keys that change nothing when they are false.
    private static let off: Set<String> = ["add_sep_token", "remove_extra_whitespaces"]
    private static let space = "tokenizer.ggml."
    private static let template = "tokenizer.chat_template"

    /// Whether a key is read, or known to change nothing.
    static func knows(_ key: String, _ value: GGUFValue) -> Bool {
        // The first repeats what other keys say, the second lists the names of the templates.
        if key == "tokenizer.huggingface.json" || key == "tokenizer.chat_templates" { return true }
        if key == template || key.hasPrefix("\(template).") { return true }
        guard key.hasPrefix(space) else { return false }
        let name = String(key.dropFirst(space.count))
        if off.contains(name), case .bool(false) = value { return true }
        return read.contains(name) || harmless.contains(name)
    }

    // MARK: Reading

    /// - Throws: `CheckpointError` that names the key.
    init(_ contents: GGUFContents) throws {
        self.contents = contents
        let keys = Keys(contents: contents)
        let tokens = try keys.tokens()
        var ids = try Self.ids(of: tokens, contents)
        let kinds = try keys.kinds(tokens.count)
        for id in tokens.indices where kinds[id] == .unused && tokens[id] == GGUFVocabulary.filler(id) {
            ids[tokens[id]] = nil
        }
        count = tokens.count
        let model = try keys.text("model")
        let splitting = try model == "gpt2" ? keys.splitting() : nil
        guard splitting != nil || model == "llama" else {
            throw keys.refused(
                "model", "(known are gpt2, which is byte-level BPE, and llama, which is SentencePiece's)")
        }
        let roles = try Roles(keys, tokens: tokens.count)
        let isPhi3 = GGUFVocabulary.claimsPhi3(contents.values["general.name"]?.string ?? "")
        let added = tokens.indices.filter { Self.isAdded(kinds[$0]) || roles.all.contains($0) }.map { id in
            AddedToken(
                id: Int32(id), content: tokens[id], special: kinds[id] != .userDefined || roles.all.contains(id),
                normalized: false, stripsLeft: false,
                stripsRight: isPhi3 && GGUFVocabulary.stripsAsPhi3(tokens[id]), singleWord: false)
        }
        let opens = try keys.flag("add_bos_token") ?? splitting?.opensTexts ?? true
        let closes = try keys.flag("add_eos_token") ?? false
        let frame = try Self.frame(
            opens ? keys.required(roles.opening, "bos_token_id") : nil,
            closes ? keys.required(roles.closing, "eos_token_id") : nil, tokens)
        let pieces = try splitting == nil ? Self.pieces(tokens, kinds, ids, keys) : nil
        let tree =
            try splitting.map { try Self.byteLevel($0, frame, keys) }
            ?? Self.sentencePiece(
                frame, prefix: keys.flag("add_space_prefix") ?? true, roles.unknown.map { tokens[$0] })
        definition = TokenizerDefinition(
            file: contents.path, tree: tree, vocabulary: ids, addedTokens: added, pieces: pieces)
        func text(_ id: Int?) -> String? { id.map { String(decoding: tokens[$0], as: UTF8.self) } }
        let names = [
            "bos_token": text(roles.opening), "eos_token": text(roles.closing), "unk_token": text(roles.unknown),
            "pad_token": text(roles.padding),
        ]
        named = names.compactMapValues(\.self)
        let telling = tokens.indices.filter { kinds[$0] == .control && Self.endings.contains(tokens[$0]) }
        ends = Set(roles.ends + telling).sorted()
    }

    /// Texts of control tokens that end a turn or a text even if the keys do not say so, as in llama.cpp.
    private static let endings = Set(
        [
            "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<|end_of_text|>",
            "</s>", "<eos>", "<EOT>",
        ].map { Array($0.utf8) })

    private static func isAdded(_ kind: Kind) -> Bool { [.control, .userDefined, .unknown].contains(kind) }

    private static func ids(of tokens: [[UInt8]], _ contents: GGUFContents) throws -> [[UInt8]: Int32] {
        var ids: [[UInt8]: Int32] = [:]
        ids.reserveCapacity(tokens.count)
        for (id, token) in tokens.enumerated() {
            guard let other = ids.updateValue(Int32(id), forKey: token) else { continue }
            throw contents.malformed(
                "\(space)tokens",
                "has the text '\(String(decoding: token.prefix(80), as: UTF8.self))' as token \(other) and as \(id)")
        }
        return ids
    }

    // MARK: The two kinds

    private static func byteLevel(_ splitting: GGUFSplitting, _ frame: JSONTree, _ keys: Keys) throws -> JSONTree {
        guard let merges = try keys.contents.strings("\(space)merges") else { throw keys.missing("merges") }
        return .members([
            "normalizer": .null, "pre_tokenizer": splitting.tree, "post_processor": frame,
            "decoder": .members([
                "type": .text("ByteLevel"), "add_prefix_space": .bool(false), "trim_offsets": .bool(true),
                "use_regex": .bool(true),
            ]),
            "model": .members([
                "type": .text("BPE"), "ignore_merges": .bool(splitting.takesWholeWords),
                // A space within a token is written as another character, so the first space separates the two.
                "merges": .array(merges.map(JSONTree.string)),
            ]),
        ])
    }

    private static func sentencePiece(_ frame: JSONTree, prefix: Bool, _ unknown: [UInt8]?) -> JSONTree {
        let blank = JSONTree.string(GGUFPieces.blank)
        let escape = JSONTree.members([
            "type": .text("Replace"), "pattern": .members(["String": .text(" ")]), "content": blank,
        ])
        var decoders: [JSONTree] = [
            .members(["type": .text("Replace"), "pattern": .members(["String": blank]), "content": .text(" ")]),
            .members(["type": .text("ByteFallback")]), .members(["type": .text("Fuse")]),
        ]
        if prefix {
            decoders.append(
                .members([
                    "type": .text("Strip"), "content": .text(" "), "start": .number("1"), "stop": .number("0"),
                ]))
        }
        let normalizer = JSONTree.members([
            "type": .text("Sequence"),
            "normalizers": .array([.members(["type": .text("Prepend"), "prepend": blank]), escape]),
        ])
        return .members([
            "normalizer": prefix ? normalizer : escape, "pre_tokenizer": .null, "post_processor": frame,
            "decoder": .members(["type": .text("Sequence"), "decoders": .array(decoders)]),
            "model": .members([
                "type": .text("BPE"), "unk_token": unknown.map(JSONTree.string) ?? .null, "fuse_unk": .bool(true),
                "byte_fallback": .bool(true),
            ]),
        ])
    }

    private static func pieces(
        _ tokens: [[UInt8]], _ kinds: [Kind], _ ids: [[UInt8]: Int32], _ keys: Keys
    ) throws -> PieceModel {
        guard let scores = try keys.contents.numbers("\(space)scores") else { throw keys.missing("scores") }
        guard scores.count == tokens.count, !scores.contains(where: \.isNaN) else {
            throw keys.contents.malformed("\(space)scores", "has \(scores.count) scores for \(tokens.count) tokens")
        }
        let bytes = try (UInt8.min...UInt8.max).map { byte in
            guard let id = ids[Array(ByteFallback.token(for: byte).utf8)] ?? ids[[byte]] else {
                throw CheckpointError.unsupported(
                    file: keys.contents.path, "a vocabulary without \(ByteFallback.token(for: byte))")
            }
            return id
        }
        // Control tokens are cut out before merging, so a merge must not produce one.
        let made = ids.filter { kinds[Int($0.value)] != .control && kinds[Int($0.value)] != .unknown }
        return PieceModel(made, byteIDs: bytes, scores: scores.map(Float.init))
    }

    /// The `post_processor`: the tokens before and after every text.
    private static func frame(_ opening: Int?, _ closing: Int?, _ tokens: [[UInt8]]) throws -> JSONTree {
        guard opening != nil || closing != nil else { return .null }
        func piece(_ id: Int) -> JSONTree {
            .members(["SpecialToken": .members(["id": .string(tokens[id]), "type_id": .number("0")])])
        }
        let text = JSONTree.members(["Sequence": .members(["id": .text("A"), "type_id": .number("0")])])
        let ends = Set([opening, closing].compactMap(\.self))
        return .members([
            "type": .text("TemplateProcessing"),
            "single": .array((opening.map { [piece($0)] } ?? []) + [text] + (closing.map { [piece($0)] } ?? [])),
            "pair": .array([
                text, .members(["Sequence": .members(["id": .text("B"), "type_id": .number("1")])]),
            ]),
            "special_tokens": .object(
                ends.sorted().map { id in
                    let entry = JSONTree.members([
                        "id": .string(tokens[id]), "ids": .array([.number("\(id)")]),
                        "tokens": .array([.string(tokens[id])]),
                    ])
                    return (name: tokens[id], value: entry)
                }),
        ])
    }

    // MARK: Templates

    /// The chat templates by name, in the form of `tokenizer_config.json`; nil when there are none.
    func templates() throws -> JSONValue? {
        let all = try contents.values.filter { $0.key == Self.template || $0.key.hasPrefix("\(Self.template).") }
            .sorted { $0.key < $1.key }.map { key, value in
                guard case .string(let bytes) = value, let text = String(validating: bytes, as: UTF8.self) else {
                    throw contents.malformed(key, "is no text")
                }
                let name = key == Self.template ? TemplateFiles.usual : String(key.dropFirst(Self.template.count + 1))
                return JSONValue.object(["name": .string(name), "template": .string(text)])
            }
        return all.isEmpty ? nil : .array(all)
    }
}

/// Tokens with a role.
private struct Roles {
    let opening, closing, unknown, padding: Int?
    let ends: [Int]
    /// Tokens that are special regardless of their kind.
    let all: Set<Int>

    init(_ keys: Keys, tokens: Int) throws {
        opening = try keys.token("bos", tokens)
        closing = try keys.token("eos", tokens)
        unknown = try keys.token("unknown", tokens)
        padding = try keys.token("padding", tokens)
        ends = try [closing, keys.token("eot", tokens), keys.token("eom", tokens)].compactMap(\.self)
        all = Set(ends + [opening, padding].compactMap(\.self))
    }
}

/// The keys of the tokenizer, by the last part of their names.
private struct Keys {
    let contents: GGUFContents

    private func key(_ name: String) -> String { "tokenizer.ggml.\(name)" }

    func missing(_ name: String) -> CheckpointError {
        .unsupported(file: contents.path, "a tokenizer without the key '\(key(name))'")
    }

    func refused(_ name: String, _ more: String) -> CheckpointError {
        let value = contents.values[key(name)]?.text ?? "nothing"
        return .unsupported(
            file: contents.path, "'\(key(name))'\(contents.place(key(name))) with the value \(value) \(more)")
    }

    func text(_ name: String) throws -> String {
        guard let value = contents.values[key(name)] else { throw missing(name) }
        guard let text = value.string else { throw contents.malformed(key(name), "is no text") }
        return text
    }

    func flag(_ name: String) throws -> Bool? {
        guard let value = contents.values[key(name)] else { return nil }
        guard case .bool(let flag) = value else { throw contents.malformed(key(name), "is neither true nor false") }
        return flag
    }

    func splitting() throws -> GGUFSplitting {
        let name = try text("pre")
        guard let splitting = GGUFSplitting.named(name) else {
            throw refused("pre", "(known are \(GGUFSplitting.allNames.joined(separator: ", ")))")
        }
        return splitting
    }

    /// The token of a role; nil when the file names none.
    func token(_ role: String, _ count: Int) throws -> Int? {
        let name = "\(role)_token_id"
        guard let value = contents.values[key(name)] else { return nil }
        guard let id = value.integer, (0..<count).contains(id) else {
            throw contents.malformed(key(name), "is \(value.text), and no token of \(count)")
        }
        return id
    }

    func required(_ id: Int?, _ name: String) throws -> Int {
        guard let id else { throw missing(name) }
        return id
    }

    /// The texts of all tokens as bytes; empty ones get a name, as in llama.cpp.
    func tokens() throws -> [[UInt8]] {
        guard let tokens = try contents.strings(key("tokens")), !tokens.isEmpty else { throw missing("tokens") }
        return tokens.enumerated().map { $1.isEmpty ? Array("[EMPTY_\($0)]".utf8) : $1 }
    }

    func kinds(_ count: Int) throws -> [GGUFVocabulary.Kind] {
        guard let numbers = try contents.numbers(key("token_type")) else { throw missing("token_type") }
        let kinds = numbers.compactMap { Int32(exactly: $0).flatMap(GGUFVocabulary.Kind.init) }
        guard kinds.count == count, numbers.count == count else {
            throw contents.malformed(key("token_type"), "does not say of each of \(count) tokens what kind it is")
        }
        return kinds
    }
}
