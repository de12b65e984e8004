import Foundation
import RetortCore

/// A family's defaults for its rotary positions.
struct RotaryHabits {
    /// The base, if the file has none.
    var theta = 10_000.0
    /// The share of a head that is rotated, in families that leave it to the file; nil if heads are always rotated
    /// whole.
    var share: Double?
    /// Whether names and defaults are Phi-3's.
    var isPhi = false
    /// Members of a plan that are specific to the family, and change nothing or are read by `queryGrowth`.
    var keys: Set<String> = []
    /// Whether queries grow with their positions (Ministral 3).
    var growsQueries = false
    /// The types of scaling that the family has; nil has all but `proportional`.
    var types: Set<String>?
}

/// Reads the rotary positions in `config.json` (transformers' `modeling_rope_utils.py`).
extension ConfigurationFields {
    /// What a plan may contain, whether or not its type uses it.
    private static let planKeys: Set<String> = [
        "rope_type", "type", "rope_theta", "factor", "partial_rotary_factor", "original_max_position_embeddings",
        "attention_factor", "beta_fast", "beta_slow", "short_factor", "long_factor", "low_freq_factor",
        "high_freq_factor", "mscale", "mscale_all_dim", "truncate",
    ]

    /// The plan of all layers: from `rope_scaling` if present, otherwise from `rope_parameters` (transformers 5).
    /// - Parameters:
    ///   - positions: the longest context.
    ///   - fallback: the plan of a file without one.
    func rotary(
        positions: Int, as habits: RotaryHabits = RotaryHabits(), fallback: [String: JSONValue] = [:]
    ) throws -> RotaryPlan {
        let old = try members("rope_scaling")
        let own = self["rope_parameters"] == nil ? fallback : try members("rope_parameters")
        return try plan(
            old.isEmpty ? own : old, theta: number("rope_theta", default: habits.theta), positions, as: habits)
    }

    /// The plans of layers with full attention, and of those with a window (Gemma 3, OLMo 3).
    /// - Parameters:
    ///   - theta: the base of layers with full attention, if the file has none.
    ///   - localTheta: the base of layers with a window, if their plan has none.
    ///   - fallback: the plans of a file without any.
    func rotaryByLayer(
        positions: Int, theta: Double, localTheta: Double, as habits: RotaryHabits = RotaryHabits(),
        fallback: [String: JSONValue] = [:]
    ) throws -> (global: RotaryPlan, local: RotaryPlan) {
        let plans = self["rope_parameters"] == nil ? fallback : try members("rope_parameters")
        if let stray = plans.keys.filter({ $0 != "full_attention" && $0 != "sliding_attention" }).min() {
            throw unsupported("'\(stray)' in rope_parameters, which this family has for each kind of layer,")
        }
        func own(_ name: String) throws -> [String: JSONValue] {
            switch plans[name] {
            case nil, .null: return [:]
            case .object(let members): return members
            default: throw malformed("'\(name)' in rope_parameters is no object")
            }
        }
        let global = try own("full_attention").merging(members("rope_scaling")) { _, scaling in scaling }
        let local = try own("sliding_attention")
        // transformers looks for it outside the plans of the layer types, and so ignores it here.
        if [global, local].contains(where: { $0["truncate"] == false }) {
            throw unsupported("'truncate' in the rope_parameters of a kind of layer")
        }
        return (
            try plan(global, theta: number("rope_theta", default: theta), positions, as: habits),
            try plan(local, theta: localTheta, positions, as: habits)
        )
    }

    private func plan(
        _ all: [String: JSONValue], theta: Double, _ positions: Int, as habits: RotaryHabits
    ) throws -> RotaryPlan {
        let isPhi = habits.isPhi
        let plan = RotaryMembers(all.filter { $0.value != .null }, fields: self)
        if let stray = plan.all.keys.filter({ !Self.planKeys.contains($0) && !habits.keys.contains($0) }).min() {
            throw unsupported("'\(stray)' of its rope scaling")
        }
        var result = RotaryPlan(theta: try plan.number("rope_theta") ?? theta)
        result.share =
            try plan.number("partial_rotary_factor") ?? number("partial_rotary_factor", default: habits.share ?? 1)
        var type = try plan.text("rope_type") ?? plan.text("type") ?? "default"
        let mayRotatePart = isPhi || habits.share != nil || type == "proportional"
        guard result.theta > 0, mayRotatePart ? (0...1).contains(result.share) : result.share == 1 else {
            throw unsupported("'partial_rotary_factor' or 'rope_theta' of this value")
        }
        // transformers prefers the length outside the plan; Phi-3 always has one there.
        let original =
            try optionalInteger("original_max_position_embeddings").map(Double.init) ?? (isPhi ? 4096 : nil)
            ?? plan.number("original_max_position_embeddings") ?? Double(positions)
        guard original > 0 else { throw malformed("its original_max_position_embeddings is \(original)") }
        if habits.growsQueries {
            let growth = try plan.required("llama_4_scaling_beta")
            result.queryGrowth = growth == 0 ? nil : RotaryPlan.QueryGrowth(by: growth, every: original)
        }
        if isPhi, type == "su" || type == "yarn" { type = "longrope" }
        guard !isPhi || type == "default" || type == "longrope",
            habits.types?.contains(type) ?? (type != "proportional")
        else { throw unsupported("the rope type '\(type)'") }
        switch type {
        case "default": break
        case "linear": result.scaling = .linear(factor: try plan.factor())
        case "proportional":
            let factor = try plan.number("factor") == nil ? 1 : plan.factor()
            result.scaling = .proportional(share: result.share, factor: factor)
            // The others have a frequency of zero.
            result.share = 1
        case "dynamic": result.scaling = .dynamic(factor: try plan.factor(), longest: Double(positions))
        case "llama3":
            result.scaling = .llama3(
                factor: try plan.factor(), low: try plan.required("low_freq_factor"),
                high: try plan.required("high_freq_factor"), original: original)
        case "yarn": try plan.yarn(&result, original: original, longest: Double(positions))
        case "longrope": try plan.longrope(&result, original: original, longest: Double(positions))
        default: throw unsupported("the rope type '\(type)'")
        }
        return result
    }
}

/// The members of one plan.
private struct RotaryMembers {
    let all: [String: JSONValue]
    private let fields: ConfigurationFields

    init(_ all: [String: JSONValue], fields: ConfigurationFields) {
        self.all = all
        self.fields = fields
    }

    func number(_ name: String) throws -> Double? {
        guard let value = all[name] else { return nil }
        guard let number = value.double, number.isFinite else {
            throw fields.malformed("'\(name)' of its rope scaling is no number")
        }
        return number
    }

    func text(_ name: String) throws -> String? {
        guard let value = all[name] else { return nil }
        guard let text = value.string else { throw fields.malformed("'\(name)' of its rope scaling is no text") }
        return text
    }

    func required(_ name: String) throws -> Double {
        guard let value = try number(name) else { throw fields.malformed("its rope scaling lacks '\(name)'") }
        return value
    }

    func factor() throws -> Double {
        let factor = try required("factor")
        guard factor > 0 else { throw fields.malformed("the factor of its rope scaling is \(factor)") }
        return factor
    }

    func yarn(_ plan: inout RotaryPlan, original: Double, longest: Double) throws {
        let factor = try number("factor") ?? longest / original
        guard factor > 0 else { throw fields.malformed("the factor of its rope scaling is \(factor)") }
        func amplitude(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1 }
        // As in Python, 0 counts as missing.
        func given(_ name: String) throws -> Double? { try number(name).flatMap { $0 == 0 ? nil : $0 } }
        if let stated = try number("attention_factor") {
            plan.statedAmplitude = stated
        } else if let scale = try given("mscale"), let all = try given("mscale_all_dim") {
            plan.statedAmplitude = amplitude(scale) / amplitude(all)
        } else {
            plan.statedAmplitude = amplitude(1)
        }
        var truncates = true
        if let value = all["truncate"] {
            guard case .bool(let flag) = value else {
                throw fields.malformed("'truncate' of its rope scaling is neither true nor false")
            }
            truncates = flag
        }
        plan.scaling = .yarn(
            factor: factor, original: original, fast: try given("beta_fast") ?? 32, slow: try given("beta_slow") ?? 1,
            truncates: truncates)
    }

    func longrope(_ plan: inout RotaryPlan, original: Double, longest: Double) throws {
        func factors(_ name: String) throws -> [Double] {
            let list = all[name]?.array ?? []
            let numbers = list.compactMap(\.double)
            guard numbers.count == list.count, !numbers.isEmpty else {
                throw fields.malformed("its rope scaling has no list of numbers '\(name)'")
            }
            return numbers
        }
        plan.statedAmplitude = try number("attention_factor")
        if plan.statedAmplitude == nil, let factor = try number("factor") {
            plan.statedAmplitude = factor <= 1 ? 1 : (1 + log(factor) / log(original)).squareRoot()
        }
        plan.scaling = .longrope(
            short: try factors("short_factor"), long: try factors("long_factor"), original: original, longest: longest)
    }
}
