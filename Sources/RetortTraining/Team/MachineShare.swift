import Foundation
import RetortTensor

extension TrainingTeam {
    /// Takes this process's share of its machine: a GPU of its own, and its part of the processors. What the environment says already
    /// stays. To be called before anything is computed.
    public func takeShareOfMachine() {
        let environment = ProcessInfo.processInfo.environment
        let given = environment["CUDA_VISIBLE_DEVICES"]
        if let devices = Self.devices(given, machineHas: Self.deviceCount(), rank: localRank), devices != given {
            setenv("CUDA_VISIBLE_DEVICES", devices, 1)
        }
        guard localSize > 1, environment["OMP_NUM_THREADS"] == nil else { return }
        let (all, allowed) = (ProcessInfo.processInfo.processorCount, ProcessInfo.processInfo.activeProcessorCount)
        // Launchers may have bound the process to some of them.
        if allowed >= all { Engine.threads = max(1, all / localSize) }
    }

    /// What CUDA is to see: one GPU, where there are several to choose from; nil leaves it as it is.
    static func devices(_ given: String?, machineHas count: Int, rank: Int) -> String? {
        let list = given.map { $0.split(separator: ",").map(String.init) } ?? (0..<count).map(String.init)
        return list.count > 1 ? list[rank % list.count] : nil
    }

    /// How many GPUs of Nvidia's the system shows.
    private static func deviceCount() -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/dev")) ?? []
        return names.count { $0.hasPrefix("nvidia") && Int($0.dropFirst("nvidia".count)) != nil }
    }
}
