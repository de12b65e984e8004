import Foundation
import RetortCore

/// Reading `adapter_config.json` (PEFT 0.21, `LoraConfig`).
extension AdapterConfiguration {
    /// Settings that describe the training or the origin. `fan_in_fan_out` concerns layers that no supported family
    /// has.
    private static let harmless: Set<String> = [
        "inference_mode", "auto_mapping", "peft_version", "fan_in_fan_out", "qalora_group_size",
        "megatron_core", "runtime_config", "eva_config", "corda_config", "lora_ga_config", "loftq_config",
        "velora_config",
    ]

    private static let read: Set<String> = [
        "base_model_name_or_path", "revision", "peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "bias",
        "target_modules",
        "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "modules_to_save",
        "trainable_token_indices", "ensure_weight_tying", "use_rslora", "use_dora", "init_lora_weights",
        "lora_bias",
    ]

    /// Settings of other computations, with the values that turn them off.
    private static let fixed: [String: [JSONValue]] = [
        "alora_invocation_tokens": [], "layer_replication": [[]], "target_parameters": [[]], "use_qalora": [false],
        "use_bdlora": [false], "arrow_config": [], "monteclora_config": [], "kasa_config": [],
        "megatron_config": [.object([:])], "merge_weights": [false],
    ]

    /// Reads a file.
    /// - Throws: `CheckpointError` that names the file and the unsupported setting.
    init(_ file: URL) throws {
        let fields = try ConfigurationFields(file)
        self.init(baseModel: "", rank: 8, alpha: 8, dropout: 0, targets: [])
        self.file = file.path
        kind = fields["peft_type"]?.string ?? "none"
        guard kind == "LORA" else { throw fields.unsupported("an adapter of the type \(kind)") }
        try fields.refuse(allBut: Self.read.union(Self.harmless), and: Self.fixed)
        baseModel = try fields.text("base_model_name_or_path")
        revision = try fields.text("revision")
        task = try fields.text("task_type")
        guard [nil, "CAUSAL_LM"].contains(task) else {
            throw fields.unsupported("an adapter for the task \(task ?? "")")
        }
        // PEFT takes its own values for these only where a file says nothing.
        try fields.refuseNulls(["r", "lora_alpha", "lora_dropout"], expected: "a number")
        try fields.refuseNulls(["bias"], expected: "none, all or lora_only")
        rank = try fields.integer("r", default: 8)
        alpha = try fields.number("lora_alpha", default: 8)
        dropout = try fields.number("lora_dropout", default: 0)
        bias = try fields.text("bias") ?? "none"
        guard ["none", "all", "lora_only"].contains(bias) else { throw fields.unsupported("the bias '\(bias)'") }
        guard rank > 0 else { throw fields.wrong("r", "an integer from 1 on") }
        guard (0...1).contains(dropout) else { throw fields.wrong("lora_dropout", "a number from 0 to 1") }
        usesRankStabilisation = try fields.flag("use_rslora")
        usesDirections = try fields.flag("use_dora")
        start = try Self.start(fields)
        addsBias = try fields.flag("lora_bias")
        guard !addsBias || (start == .unchanged && !usesDirections) else {
            throw fields.unsupported("'lora_bias' together with DoRA, PiSSA or OLoRA")
        }
        scope = try Scope(fields)
        targets = if case .names(let names) = scope.targets { names } else { [] }
        ranks = try Self.numbers("rank_pattern", fields)
        guard ranks.values.allSatisfy({ $0 >= 1 && $0 == $0.rounded() }) else {
            throw fields.wrong("rank_pattern", "a table of whole numbers from 1 on")
        }
        alphas = try Self.numbers("alpha_pattern", fields)
        for pattern in Array(ranks.keys) + Array(alphas.keys) { _ = try Self.checked(pattern, fields) }
        wholeModules = try fields.texts("modules_to_save")
        rows = try Self.rows(fields)
        keepsTies = try fields.flag("ensure_weight_tying")
    }

    /// Whether a target names a module, as in PEFT: by its whole name, or by its last parts.
    package static func target(_ target: String, names module: String) -> Bool {
        module == target || module.hasSuffix(".\(target)")
    }

    private static func checked(_ pattern: String, _ fields: ConfigurationFields) throws -> ModulePattern {
        guard let checked = try? ModulePattern(pattern) else {
            throw fields.unsupported("the pattern '\(pattern)', which cannot be read,")
        }
        return checked
    }

    private static func numbers(_ name: String, _ fields: ConfigurationFields) throws -> [String: Double] {
        try fields.members(name).mapValues {
            guard let number = $0.double else { throw fields.wrong(name, "a table of numbers") }
            return number
        }
    }

    private static func start(_ fields: ConfigurationFields) throws -> Start {
        switch fields["init_lora_weights"] {
        case nil, .bool: return .unchanged
        case .string(let name):
            switch name.lowercased() {
            // These initialise the adapter's weights differently, and leave the base's unchanged.
            case "gaussian", "eva", "orthogonal", "mica", "true", "false": return .unchanged
            case "pissa": return .pissa
            case "olora": return .olora
            default:
                throw fields.unsupported(
                    "init_lora_weights '\(name)', which changes the base's weights in a way that the adapter does not "
                        + "tell (save it with PEFT's path_initial_model_for_weight_conversion),")
            }
        default: throw fields.wrong("init_lora_weights", "a name, true or false")
        }
    }

    private static func rows(_ fields: ConfigurationFields) throws -> [String: [Int]] {
        func indices(_ value: JSONValue) throws -> [Int] {
            let list = value.array ?? []
            let numbers = list.compactMap { if case .integer(let number) = $0, number >= 0 { number } else { nil } }
            guard value.array != nil, numbers.count == list.count, Set(numbers).count == numbers.count else {
                throw fields.wrong("trainable_token_indices", "a list of different tokens, or a table of such lists,")
            }
            return numbers
        }
        switch fields["trainable_token_indices"] {
        case nil: return [:]
        case .object(let modules): return try modules.mapValues(indices)
        case let list?: return ["embed_tokens": try indices(list)]
        }
    }
}

extension AdapterConfiguration {
    /// The modules of the base that an adapter applies to, determined as in PEFT.
    struct Scope: Hashable, Sendable {
        enum Targets: Hashable, Sendable {
            /// PEFT's default for each family.
            case usual
            /// All projections except the head.
            case allLinear
            /// Modules whose names end so.
            case names([String])
            /// Modules whose whole names match a pattern.
            case pattern(String)
        }

        var targets = Targets.usual
        private var excluded = Targets.names([])
        private var layers: Set<Int>?
        private var layerLists: [String] = []
        private var wholeModules: [String] = []

        init() {}

        init(_ fields: ConfigurationFields) throws {
            targets = try Self.targets("target_modules", fields) ?? .usual
            if case .pattern(let name) = targets, name.lowercased() == "all-linear" { targets = .allLinear }
            excluded = try Self.targets("exclude_modules", fields) ?? .names([])
            wholeModules = try fields.texts("modules_to_save")
            layerLists = try fields.texts("layers_pattern").filter { !$0.isEmpty }
            switch fields["layers_to_transform"] {
            case nil: break
            case .integer(let layer): layers = [layer]
            case .array(let list):
                let numbers = list.compactMap { if case .integer(let layer) = $0 { layer } else { nil } }
                guard numbers.count == list.count else {
                    throw fields.wrong("layers_to_transform", "a list of layers")
                }
                layers = numbers.isEmpty ? nil : Set(numbers)
            default: throw fields.wrong("layers_to_transform", "a list of layers")
            }
        }

        private static func targets(_ name: String, _ fields: ConfigurationFields) throws -> Targets? {
            switch fields[name] {
            case nil: return nil
            case .string(let pattern):
                if pattern.lowercased() != "all-linear" { _ = try AdapterConfiguration.checked(pattern, fields) }
                return .pattern(pattern)
            default: return .names(try fields.texts(name))
            }
        }

        /// Whether a module, such as `model.layers.0.self_attn.q_proj`, is adapted.
        func holds(_ module: String, isHead: Bool) throws -> Bool {
            if try Self.names(excluded, module, isHead: isHead) { return false }
            for whole in wholeModules {
                if try ModulePattern("(?:^|.*\\.)(?:\(whole))(?:$|\\..*)").matches(module) { return false }
            }
            guard try Self.names(targets, module, isHead: isHead) else { return false }
            // A full name selects its module in any case, whatever `layers` says.
            guard case .names(let names) = targets, !names.contains(module), let layers else { return true }
            return try Self.layer(of: module, lists: layerLists).map(layers.contains) ?? false
        }

        private static func names(_ targets: Targets, _ module: String, isHead: Bool) throws -> Bool {
            switch targets {
            case .usual: module.hasSuffix(".q_proj") || module.hasSuffix(".v_proj")
            case .allLinear: !isHead && !module.hasSuffix("embed_tokens")
            case .names(let names): names.contains { AdapterConfiguration.target($0, names: module) }
            case .pattern(let pattern): try ModulePattern(pattern).matches(module)
            }
        }

        private static func layer(of module: String, lists: [String]) throws -> Int? {
            let parts = module.split(separator: ".").map(String.init)
            for place in parts.indices.dropFirst() {
                guard let layer = Int(parts[place]), place + 1 < parts.count else { continue }
                if lists.isEmpty { return place >= 2 ? layer : nil }
                let before = parts[..<place].joined(separator: ".")
                if try lists.contains(where: { try ModulePattern("(?:.*\\.)?(?:\($0))").matches(before) }) {
                    return layer
                }
            }
            return nil
        }
    }
}

/// A regular expression for a module's whole name.
struct ModulePattern {
    private let expression: NSRegularExpression

    /// - Parameter pattern: in Python's syntax, which begins a named group with `(?P<`.
    init(_ pattern: String) throws {
        let named = pattern.replacing("(?P<", with: "(?<")
        expression = try NSRegularExpression(pattern: "\\A(?:\(named))\\z")
    }

    func matches(_ name: String) -> Bool {
        expression.firstMatch(in: name, range: NSRange(name.startIndex..., in: name)) != nil
    }
}
