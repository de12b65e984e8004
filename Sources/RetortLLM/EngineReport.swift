import RetortCore
import RetortTensor

/// What computes on this machine, and what of it cannot be had, each part tried.
public struct EngineReport: Sendable, Codable {
    /// Its version.
    public var libtorch: String
    /// How many threads an operation on the CPU may use.
    public var threads: Int
    /// What a GPU adds.
    public var parts: [CheckResult]
    /// What multiplies weights on the CPU, by how they are held.
    public var kernels: [WeightPrecision: String]

    /// Looks for a GPU, and tries the kernels that rest on it.
    public static func inspect() -> Self {
        func part(_ name: String, _ refusal: String?, instead: String) -> CheckResult {
            CheckResult(name: name, holds: refusal == nil, detail: refusal.map { "\($0); \(instead)" } ?? "")
        }
        return Self(
            libtorch: Engine.version, threads: Engine.threads,
            parts: [
                part("CUDA", Device.cudaRefusal, instead: "the CPU computes"),
                part(
                    "fused attention over packed rows", FusedAttention.refusalHere,
                    instead: "rows are computed a segment at a time"),
                part("recorded decoding steps", DeviceGraph.refusal, instead: "each kernel is launched by itself"),
            ], kernels: Dictionary(uniqueKeysWithValues: WeightPrecision.allCases.map { ($0, $0.kernels) }))
    }
}
