import RetortCore
import RetortTensor

/// What this machine computes with, and which parts are unavailable; each part is tried.
public struct EngineReport: Sendable, Codable {
    /// The version of libtorch.
    public var libtorch: String
    /// The number of threads that an operation on the CPU may use.
    public var threads: Int
    /// The parts that need a GPU.
    public var parts: [CheckResult]
    /// The kernels that multiply weights on the CPU, by the weights' precision.
    public var kernels: [WeightPrecision: String]

    /// Looks for a GPU, and tries the kernels that depend on it.
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
