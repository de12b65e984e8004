import RetortCore

/// The special tokens that `tokenizer_config.json` names, and the older `special_tokens_map.json`, put together in
/// transformers' order (5.24, `PreTrainedTokenizerBase._from_pretrained`): new tokens get their ids in this order.
struct SpecialTokenSettings {
    /// A token as a setting gives it: its text, or an object that describes it.
    struct Entry {
        let content: [UInt8]
        /// Its description; empty for a token that is given by its text.
        var fields = OrderedMembers()

        /// - Returns: nil for a value that is no token.
        init?(_ value: JSONTree) {
            guard let content = value.bytes ?? value["content"]?.bytes else { return nil }
            self.content = content
            fields = OrderedMembers(value)
        }

        /// Whether it is an `AddedToken` with flags of its own, as transformers writes it. Elsewhere a description is
        /// one of a special token.
        var isTyped: Bool { fields["__type"]?.string == "AddedToken" }
    }

    /// The roles that every tokenizer knows, in transformers' order.
    private static let roles = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]
    private static let extraKey = "extra_special_tokens"
    private static let olderExtraKey = "additional_special_tokens"
    private static let specificKey = "model_specific_special_tokens"

    /// The tokens with a role, standard roles first.
    private(set) var named: [(name: String, token: Entry)] = []
    /// The tokens without one.
    private(set) var extra: [Entry] = []
    /// `added_tokens_decoder`, which gives tokens their ids; nil when there is none.
    let decoder: JSONTree?

    /// - Throws: `CheckpointError` that names a file that is not a JSON object, or a setting that is not supported.
    init(_ source: CheckpointSource) throws {
        let path = source.path(of: "tokenizer_config.json")
        var settings = OrderedMembers(try source.tree("tokenizer_config.json"))
        try Self.check(settings, path)
        decoder = settings["added_tokens_decoder"]
        if settings[Self.olderExtraKey] != nil, Self.isEmpty(settings[Self.extraKey]) {
            settings[Self.extraKey] = settings[Self.olderExtraKey]
            settings[Self.olderExtraKey] = nil
        }
        var specific = Self.takeSpecific(&settings)
        // Where the configuration has a list of all added tokens, transformers reads no older file.
        if decoder == nil { try Self.merge(source.tree("special_tokens_map.json"), into: &settings, &specific) }
        if settings[Self.extraKey] == nil { settings[Self.extraKey] = settings[Self.olderExtraKey] }
        extra = settings[Self.extraKey]?.array?.compactMap(Entry.init) ?? []
        named = Self.roles.compactMap { name in settings[name].flatMap(Entry.init).map { (name: name, token: $0) } }
        var others = OrderedMembers()
        for name in settings.names where Self.isSpecific(name) {
            if let value = settings[name], value.bytes != nil || Entry(value)?.isTyped == true { others[name] = value }
        }
        others.merge(specific)
        named += others.names.compactMap { name in others[name].flatMap(Entry.init).map { (name: name, token: $0) } }
    }

    /// The texts of tokens that `added_tokens.json` may list without saying that they are special.
    var contentsWithRole: Set<[UInt8]> {
        Set(named.filter { Self.roles.contains($0.name) }.map(\.token.content)).union(extra.map(\.content))
    }

    private static func isSpecific(_ name: String) -> Bool { name.hasSuffix("_token") && !roles.contains(name) }

    private static func isEmpty(_ value: JSONTree?) -> Bool {
        switch value {
        case nil, .null?: true
        case .array(let list)?: list.isEmpty
        case .object(let members)?: members.isEmpty
        default: false
        }
    }

    /// Takes the roles that only this model has out of the settings: texts under names such as `image_token`, and the
    /// members of a table under `extra_special_tokens`.
    private static func takeSpecific(_ settings: inout OrderedMembers) -> OrderedMembers {
        var specific = OrderedMembers()
        for name in settings.names where isSpecific(name) && settings[name]?.bytes != nil {
            specific[name] = settings[name]
            settings[name] = nil
        }
        if case .object? = settings[extraKey] {
            specific.merge(OrderedMembers(settings[extraKey]))
            settings[extraKey] = nil
        }
        return specific.isEmpty ? OrderedMembers(settings[specificKey]) : specific
    }

    /// Adds what `special_tokens_map.json` says, which counts more than the configuration.
    private static func merge(
        _ map: JSONTree?, into settings: inout OrderedMembers, _ specific: inout OrderedMembers
    ) {
        let map = OrderedMembers(map)
        for name in map.names {
            guard let value = map[name] else { continue }
            if name == extraKey, let more = value.array {
                let known = settings[name]?.array ?? []
                let contents = Set(known.compactMap(Entry.init).map(\.content))
                settings[name] = .array(known + more.filter { !contents.contains(Entry($0)?.content ?? []) })
            } else if case .object(let members) = value, name != extraKey {
                // A description in this file is one of a special token, whatever it says.
                var fields = OrderedMembers(.object(members))
                fields["__type"] = .string(Array("AddedToken".utf8))
                fields["special"] = .bool(true)
                settings[name] = fields.tree
            } else {
                settings[name] = value
            }
        }
        if case .object? = settings[extraKey] {
            specific.merge(OrderedMembers(settings[extraKey]))
            settings[extraKey] = nil
        }
    }

    /// Refuses what changes a text's tokens and is not computed. Other keys change none where there is a
    /// `tokenizer.json`: transformers passes over those that it does not know.
    private static func check(_ settings: OrderedMembers, _ path: String) throws {
        for name in ["split_special_tokens", "fix_mistral_regex"] {
            guard let value = settings[name], !value.isNull, value.bool != false else { continue }
            throw CheckpointError.unsupported(file: path, "'\(name)', which changes how texts are split,")
        }
        // The file of a version of transformers instead of tokenizer.json.
        if let files = settings["fast_tokenizer_files"]?.array, files.contains(where: { $0.string != "tokenizer.json" })
        {
            throw CheckpointError.unsupported(file: path, "'fast_tokenizer_files', which names other files,")
        }
        if let decoder = settings["added_tokens_decoder"], case .object = decoder { return }
        guard settings["added_tokens_decoder"] == nil else {
            throw CheckpointError.malformed(file: path, "added_tokens_decoder is no object")
        }
    }
}
