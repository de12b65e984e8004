import RetortCore

/// A process's place among those that train together, as the variables of what started it tell.
///
/// torchrun's (`RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`, and `LOCAL_RANK` if it is known), Open MPI's and those of a Slurm step
/// are understood. Where several are there, torchrun's count.
public struct TeamPlace: Sendable, Hashable {
    /// Who started the processes.
    public enum Launcher: String, Sendable {
        case torchrun
        case openMPI = "Open MPI"
        case slurm = "Slurm"
    }

    /// Who started the process.
    public var launcher: Launcher
    /// The process's number among all, from 0.
    public var rank: Int
    /// The number of processes.
    public var size: Int
    /// The rank among the processes of this machine, and how many these are; nil where it is not said.
    public var localRank, localSize: Int?
    /// Where rank 0 is, and the port under which the processes find each other.
    public var address: String
    /// The TCP port at `address`.
    public var port: Int
    /// Whether the launcher serves that port itself.
    public var isServedByLauncher = false
    /// Sets this start apart from an earlier one that the launcher repeats.
    public var attempt = "0"

    /// Reads the variables.
    /// - Returns: nil where the process is to train alone: none of the variables is set, or they count one process.
    /// - Throws: `TeamError` for variables that are incomplete, contradict each other, or cannot be.
    public init?(_ variables: [String: String]) throws {
        let variables = TeamVariables(all: variables)
        let torchrun = try variables.torchrun()
        let other = try variables.openMPI() ?? variables.slurm()
        guard let count = torchrun ?? other else {
            if variables.all["LOCAL_RANK"] != nil {
                throw TeamError.incomplete(given: ["LOCAL_RANK"], missing: ["RANK", "WORLD_SIZE"])
            }
            return nil
        }
        // torchrun's own agents may be started by Slurm or Open MPI, and are then counted there.
        if let torchrun, let other, other.size > 1, variables.all["TORCHELASTIC_RUN_ID"] == nil,
            (torchrun.rank, torchrun.size) != (other.rank, other.size)
        {
            throw TeamError.contradiction(
                "RANK and WORLD_SIZE say process \(torchrun.rank) of \(torchrun.size), and \(other.launcher.rawValue) says "
                    + "\(other.rank) of \(other.size)")
        }
        guard count.size > 1 else { return nil }
        (launcher, rank, size) = (count.launcher, count.rank, count.size)
        (localRank, localSize) = (count.localRank, count.localSize)
        (address, port) = try variables.meeting(of: count)
        isServedByLauncher = variables.all["TORCHELASTIC_USE_AGENT_STORE"] == "True"
        attempt =
            (variables.all["TORCHELASTIC_RUN_ID"] ?? "") + "." + (variables.all["TORCHELASTIC_RESTART_COUNT"] ?? "0")
    }

    /// A place that is known otherwise.
    public init(rank: Int, size: Int, address: String, port: Int) {
        launcher = .torchrun
        (self.rank, self.size, self.address, self.port) = (rank, size, address, port)
    }
}

/// Environment variables, and what launchers mean by them.
private struct TeamVariables {
    let all: [String: String]

    /// Which process of how many.
    struct Count {
        var launcher: TeamPlace.Launcher
        var rank, size: Int
        var localRank, localSize: Int?

        func checked(_ names: (rank: String, size: String, localRank: String, localSize: String)) throws -> Count {
            guard rank < size else {
                throw TeamError.contradiction(
                    "\(names.rank) is \(rank), and \(names.size) is \(size); ranks count from 0")
            }
            if let localSize, localSize > size {
                throw TeamError.contradiction("\(names.localSize) is \(localSize), and \(names.size) only \(size)")
            }
            if let localRank, localRank >= localSize ?? size {
                throw TeamError.contradiction(
                    "\(names.localRank) is \(localRank), of \(localSize ?? size) processes; ranks count from 0")
            }
            return self
        }
    }

    private func number(_ name: String, from least: Int = 0) throws -> Int? {
        guard let text = all[name] else { return nil }
        guard let number = Int(text), (least...1_000_000).contains(number) else {
            throw TeamError.invalid(variable: name, value: text, wanted: "a whole number from \(least) on")
        }
        return number
    }

    func torchrun() throws -> Count? {
        try count(
            .torchrun, ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
            needing: ["MASTER_ADDR", "MASTER_PORT"])
    }

    func openMPI() throws -> Count? {
        try count(
            .openMPI,
            (
                "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                "OMPI_COMM_WORLD_LOCAL_SIZE"
            ))
    }

    /// A batch script itself has Slurm's variables, too, and is no task of a step: what it runs without srun is alone.
    func slurm() throws -> Count? {
        let marks = ["SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_LAUNCH_NODE_IPADDR"]
        let isStep = try marks.contains { all[$0] != nil } || (number("SLURM_PROCID") ?? 0) > 0
        guard isStep, all["SLURM_PROCID"] != nil else { return nil }
        let size = all["SLURM_STEP_NUM_TASKS"] == nil ? "SLURM_NTASKS" : "SLURM_STEP_NUM_TASKS"
        return try count(.slurm, ("SLURM_PROCID", size, "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"))
    }

    private func count(
        _ launcher: TeamPlace.Launcher, _ names: (rank: String, size: String, localRank: String, localSize: String),
        needing others: [String] = []
    ) throws -> Count? {
        let needed = [names.rank, names.size]
        let given = needed.filter { all[$0] != nil }
        guard !given.isEmpty else { return nil }
        guard let rank = try number(names.rank), let size = try number(names.size, from: 1) else {
            throw TeamError.incomplete(given: given, missing: needed.filter { all[$0] == nil })
        }
        let missing = others.filter { all[$0] == nil }
        guard size == 1 || missing.isEmpty else { throw TeamError.incomplete(given: needed, missing: missing) }
        // Slurm's tasks per node are a wish, and may be more than a small step has.
        let localSize = launcher == .slurm ? nil : try number(names.localSize, from: 1)
        return try Count(
            launcher: launcher, rank: rank, size: size, localRank: number(names.localRank), localSize: localSize
        ).checked(names)
    }

    // MARK: Where they meet

    func meeting(of count: Count) throws -> (address: String, port: Int) {
        var port: Int?
        if let text = all["MASTER_PORT"] {
            guard let number = Int(text), (1...65_535).contains(number) else {
                throw TeamError.invalid(variable: "MASTER_PORT", value: text, wanted: "a port from 1 to 65535")
            }
            port = number
        }
        return (try address(of: count), try port ?? sharedPort(of: count))
    }

    private func address(of count: Count) throws -> String {
        if let address = all["MASTER_ADDR"] {
            guard !address.isEmpty, !address.contains(where: \.isWhitespace) else {
                throw TeamError.invalid(variable: "MASTER_ADDR", value: address, wanted: "a host's name or address")
            }
            return address
        }
        switch count.launcher {
        case .torchrun: throw TeamError.incomplete(given: ["RANK", "WORLD_SIZE"], missing: ["MASTER_ADDR"])
        case .openMPI:
            guard count.localSize == count.size else { throw TeamError.noAddress(.openMPI) }
            return "127.0.0.1"
        case .slurm:
            // Its first node has task 0. The node that srun was started on may be another.
            let list = ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"].lazy.compactMap { all[$0] }.first
            guard let host = list.flatMap(Self.firstHost) ?? all["SLURM_LAUNCH_NODE_IPADDR"] else {
                throw TeamError.noAddress(.slurm)
            }
            return host
        }
    }

    /// A port that all processes of one start choose alike, and other starts hardly: below those that systems hand out.
    private func sharedPort(of count: Count) throws -> Int {
        let name: String? =
            switch count.launcher {
            case .torchrun: nil
            case .openMPI:
                ["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "OMPI_MCA_orte_hnp_uri"].lazy.compactMap { all[$0] }.first
            case .slurm:
                (all["SLURM_JOB_ID"] ?? all["SLURM_JOBID"]).map { "\($0).\(all["SLURM_STEP_ID"] ?? "0")" }
            }
        guard let name else {
            throw TeamError.incomplete(given: ["the variables of \(count.launcher.rawValue)"], missing: ["MASTER_PORT"])
        }
        return 15_000 + Int(StableHash.of(name) % 10_000)
    }

    /// The first host of a list as Slurm writes it: `gpu[003-007,010]-ib,login1` begins with `gpu003-ib`.
    private static func firstHost(_ list: String) -> String? {
        var host = ""
        var rest = list[...]
        while let next = rest.first, next != "," {
            if next == "[" {
                guard let end = rest.firstIndex(of: "]") else { return nil }
                host += rest[rest.index(after: rest.startIndex)..<end].prefix { $0 != "," && $0 != "-" }
                rest = rest[rest.index(after: end)...]
            } else {
                host.append(next)
                rest.removeFirst()
            }
        }
        return host.isEmpty ? nil : host
    }
}
