import Testing

@testable import RetortTraining

@Suite("A process's place in a team")
struct TeamPlaceTests {
    private static let torchrun = [
        "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1",
        "MASTER_PORT": "29500",
    ]
    private static let openMPI = [
        "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "prterun-host-77@1",
    ]
    private static let slurm = [
        "SLURM_PROCID": "5", "SLURM_NTASKS": "6", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0", "SLURM_JOB_ID": "4711",
        "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.9",
    ]

    @Test("no variable, or one process, is no team")
    func alone() throws {
        #expect(try TeamPlace(["PATH": "/bin", "MASTER_ADDR": "a", "MASTER_PORT": "1"]) == nil)
        #expect(try TeamPlace(["RANK": "0", "WORLD_SIZE": "1"]) == nil)
        #expect(try TeamPlace(["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"]) == nil)
    }

    @Test("torchrun's variables")
    func torchrun() throws {
        let place = try #require(try TeamPlace(Self.torchrun))
        #expect((place.rank, place.size, place.localRank, place.localSize) == (3, 8, 1, 2))
        #expect((place.address, place.port, place.isServedByLauncher) == ("node1", 29500, false))
        let served = try #require(
            try TeamPlace(
                Self.torchrun.merging(["TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2"]) {
                    $1
                }))
        #expect(served.isServedByLauncher)
        #expect(served.attempt != place.attempt)
    }

    @Test("by hand, without a local rank")
    func byHand() throws {
        let place = try #require(
            try TeamPlace(["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "4000"]))
        #expect(place.localRank == nil)
    }

    @Test("Open MPI's on one host, where all choose the same port and another start another one")
    func openMPI() throws {
        let place = try #require(try TeamPlace(Self.openMPI))
        #expect((place.launcher, place.rank, place.size, place.address) == (.openMPI, 1, 2, "127.0.0.1"))
        let neighbour = try TeamPlace(
            Self.openMPI.merging(["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_LOCAL_RANK": "0"]) { $1 })
        #expect(neighbour?.port == place.port)
        let other = try TeamPlace(Self.openMPI.merging(["PMIX_NAMESPACE": "prterun-host-78@1"]) { $1 })
        #expect(other?.port != place.port)
        #expect((1024...32767).contains(place.port))
    }

    @Test("Open MPI's on several hosts need an address")
    func openMPIHosts() throws {
        let hosts = Self.openMPI.merging(["OMPI_COMM_WORLD_SIZE": "4"]) { $1 }
        #expect(throws: TeamError.noAddress(.openMPI)) { try TeamPlace(hosts) }
        let given = try TeamPlace(hosts.merging(["MASTER_ADDR": "10.1.1.1", "MASTER_PORT": "5000"]) { $1 })
        #expect(given?.address == "10.1.1.1")
    }

    @Test("a Slurm step's, with the host that task 0 runs on")
    func slurm() throws {
        let place = try #require(try TeamPlace(Self.slurm))
        #expect((place.launcher, place.rank, place.size, place.localRank) == (.slurm, 5, 6, 1))
        #expect(place.address == "10.0.0.9")
        for (list, host) in [
            ("gpu[003-007,010],login1", "gpu003"), ("a1,b2", "a1"), ("n[12,14]-ib", "n12-ib"), ("one", "one"),
        ] {
            let place = try TeamPlace(Self.slurm.merging(["SLURM_STEP_NODELIST": list]) { $1 })
            #expect(place?.address == host)
        }
    }

    @Test("what a batch script runs without srun is alone, though Slurm's variables are there")
    func batchScript() throws {
        #expect(
            try TeamPlace(["SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "1"]) == nil)
    }

    @Test(
        "incomplete variables are refused by name",
        arguments: [
            (["RANK": "0"], ["WORLD_SIZE"]), (["WORLD_SIZE": "2"], ["RANK"]),
            (["RANK": "0", "WORLD_SIZE": "2"], ["MASTER_ADDR", "MASTER_PORT"]),
            (["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a"], ["MASTER_PORT"]),
            (["LOCAL_RANK": "0"], ["RANK", "WORLD_SIZE"]), (["OMPI_COMM_WORLD_RANK": "0"], ["OMPI_COMM_WORLD_SIZE"]),
            (["SLURM_PROCID": "1"], ["SLURM_NTASKS"]),
        ])
    func incomplete(variables: [String: String], missing: [String]) {
        #expect {
            try TeamPlace(variables)
        } throws: { error in
            guard case TeamError.incomplete(_, let names) = error else { return false }
            return names == missing && missing.allSatisfy("\(error)".contains)
        }
    }

    @Test(
        "values that cannot be are refused by name",
        arguments: [
            ("RANK", "one"), ("RANK", ""), ("RANK", "-1"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "2.0"),
            ("MASTER_PORT", "0"), ("MASTER_PORT", "70000"), ("MASTER_ADDR", ""), ("MASTER_ADDR", "a b"),
            ("LOCAL_RANK", "x"),
        ])
    func invalid(name: String, value: String) {
        #expect {
            try TeamPlace(Self.torchrun.merging([name: value]) { $1 })
        } throws: { error in
            if case TeamError.invalid(name, value, _) = error { true } else { false }
        }
    }

    @Test(
        "contradictions are refused",
        arguments: [
            ["RANK": "8"], ["LOCAL_RANK": "2"], ["LOCAL_WORLD_SIZE": "9"],
            ["OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "8"],
            ["SLURM_PROCID": "3", "SLURM_NTASKS": "16", "SLURM_STEP_ID": "0"],
        ])
    func contradictions(more: [String: String]) {
        #expect {
            try TeamPlace(Self.torchrun.merging(more) { $1 })
        } throws: { error in
            if case TeamError.contradiction = error { true } else { false }
        }
    }

    @Test("torchrun under srun counts its own processes, and agreeing variables are no contradiction")
    func nested() throws {
        let slurm = ["SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"]
        let nested = Self.torchrun.merging(slurm) { $1 }.merging(["TORCHELASTIC_RUN_ID": "x"]) { $1 }
        #expect(try TeamPlace(nested)?.rank == 3)
        let equal = Self.torchrun.merging(["OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "8"]) { $1 }
        #expect(try TeamPlace(equal)?.launcher == .torchrun)
        let shell = Self.torchrun.merging(["SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_ID": "0"]) { $1 }
        #expect(try TeamPlace(shell)?.rank == 3)
    }

    @Test("each process takes a GPU of its own, of those that it may see")
    func devices() {
        #expect(TrainingTeam.devices(nil, machineHas: 4, rank: 2) == "2")
        #expect(TrainingTeam.devices(nil, machineHas: 2, rank: 3) == "1")
        #expect(TrainingTeam.devices("4,6", machineHas: 8, rank: 1) == "6")
        #expect(TrainingTeam.devices("3", machineHas: 8, rank: 1) == nil)
        #expect(TrainingTeam.devices(nil, machineHas: 1, rank: 1) == nil)
        #expect(TrainingTeam.devices("", machineHas: 8, rank: 1) == nil)
    }
}
