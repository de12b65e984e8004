import Foundation
import RetortCore

/// A `config.json`, read field by field; every complaint names the file.
struct ConfigurationFields {
    let all: [String: JSONValue]
    private let path: String

    init(_ file: URL) throws {
        guard let data = try? Data(contentsOf: file) else { throw CheckpointError.missing(file: file.path) }
        guard let fields = try? JSONCoding.decoder.decode(JSONValue.self, from: data).object else {
            throw CheckpointError.malformed(file: file.path, "it is not a JSON object")
        }
        (all, path) = (fields, file.path)
    }

    var architecture: String { Self.architecture(of: all) }

    static func architecture(of fields: [String: JSONValue]) -> String {
        fields["architectures"]?.array?.first?.string ?? fields["model_type"]?.string ?? "none"
    }

    func malformed(_ what: String) -> CheckpointError { .malformed(file: path, what) }

    func unsupported(_ what: String) -> CheckpointError { .unsupported(file: path, what) }

    func integer(_ name: String, default fallback: Int? = nil) throws -> Int {
        switch all[name] {
        case .integer(let value): return value
        case nil, .null:
            guard let fallback else { throw malformed("it lacks '\(name)'") }
            return fallback
        default: throw malformed("'\(name)' is no integer")
        }
    }

    func number(_ name: String, default fallback: Double) throws -> Double {
        switch all[name] {
        case nil, .null: return fallback
        case let value?:
            guard let number = value.double else { throw malformed("'\(name)' is no number") }
            return number
        }
    }

    /// A number that a file may also rule out: `null` is nil, and only a missing field is the default.
    func optionalNumber(_ name: String, default fallback: Double?) throws -> Double? {
        switch all[name] {
        case nil: fallback
        case .null: nil
        case _?: try number(name, default: 0)
        }
    }

    func flag(_ name: String, default fallback: Bool = false) -> Bool {
        if case .bool(let value) = all[name] { value } else { fallback }
    }

    /// - Throws: when the activation is another.
    func requireActivation(_ names: String...) throws {
        let name = all["hidden_activation"]?.string ?? all["hidden_act"]?.string ?? names[0]
        guard names.contains(name) else { throw unsupported("the activation '\(name)'") }
    }

    /// The rotary plan of `rope_parameters` (transformers 5), or of `rope_theta` and `rope_scaling`.
    /// - Parameters:
    ///   - layers: `full_attention` or `sliding_attention`, where the file keeps one plan for each.
    ///   - theta: what `rope_theta` is when the file does not say.
    func rotary(layers: String? = nil, theta: Double = 10_000) throws -> RotaryPlan {
        var scaling = all["rope_parameters"] ?? all["rope_scaling"] ?? .null
        if let layers, let own = scaling[layers] { scaling = own }
        var plan = RotaryPlan(theta: try scaling["rope_theta"]?.double ?? number("rope_theta", default: theta))
        plan.share = try scaling["partial_rotary_factor"]?.double ?? number("partial_rotary_factor", default: 1)
        func value(_ name: String) throws -> Double {
            guard let value = scaling[name]?.double else { throw malformed("its rope scaling lacks '\(name)'") }
            return value
        }
        switch scaling["rope_type"]?.string ?? scaling["type"]?.string ?? "default" {
        case "default": break
        case "linear": plan.scaling = .linear(factor: try value("factor"))
        case "llama3":
            plan.scaling = .llama3(
                factor: try value("factor"), low: try value("low_freq_factor"), high: try value("high_freq_factor"),
                original: try value("original_max_position_embeddings"))
        case "longrope", "su":
            let original =
                try scaling["original_max_position_embeddings"]?.double
                ?? number("original_max_position_embeddings", default: 4096)
            let longest = try number("max_position_embeddings", default: original)
            func factors(_ name: String) -> [Double] { scaling[name]?.array?.compactMap(\.double) ?? [] }
            plan.scaling = .longrope(
                short: factors("short_factor"), long: factors("long_factor"), original: original, longest: longest)
            plan.statedAmplitude = scaling["attention_factor"]?.double
        case let other: throw unsupported("the rope type '\(other)'")
        }
        return plan
    }
}

extension JSONValue {
    /// A number of either kind.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
