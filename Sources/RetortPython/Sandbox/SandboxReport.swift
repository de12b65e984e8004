import Foundation
import Glibc
import RetortCore

/// What separates a program from this machine: each layer as the kernel reports it from outside, and the results of
/// hostile programs that try to get through.
public struct SandboxReport: Sendable, Codable {
    /// The level that the layers add up to.
    public var level: SandboxLevel
    /// Why the level is not higher; nil at the highest.
    public var shortfall: String?
    /// The layers, each inspected from outside.
    public var layers: [CheckResult]
    /// The hostile programs, each with whether it was stopped.
    public var trials: [CheckResult]

    /// Whether every hostile program was stopped.
    public var isSound: Bool { trials.allSatisfy(\.holds) }
}

extension PythonInterpreter {
    /// Inspects a fresh session from outside, and runs a few hostile programs in it.
    public func inspect() async throws -> SandboxReport {
        let session = try await session()
        var trials: [CheckResult] = []
        for trial in HostileTrial.all {
            let observation = try await session.perform(.code(trial.program))
            let text = observation.text.split(separator: "\n").first.map(String.init) ?? ""
            trials.append(.init(name: trial.name, holds: trial.isStopped(observation), detail: text))
        }
        let layers = await session.layers() + [groupLayer()]
        await session.close()
        return SandboxReport(level: level, shortfall: shortfall, layers: layers, trials: trials)
    }
}

/// A hostile program, which prints `reached` if it succeeds.
struct HostileTrial {
    let name: String
    let program: String

    func isStopped(_ observation: Observation) -> Bool { !observation.text.contains("reached") }

    static let all = [
        HostileTrial(name: "reads a host file", program: "open('/etc/passwd').read(); print('reached')"),
        HostileTrial(
            name: "reads another process's environment", program: "open('/proc/1/environ').read(); print('reached')"),
        HostileTrial(
            name: "starts a program", program: "import subprocess; subprocess.run(['/bin/true']); print('reached')"),
        HostileTrial(name: "forks", program: "import os\nif os.fork() == 0: os._exit(0)\nprint('reached')"),
        HostileTrial(
            name: "starts a thread",
            program: "import threading; threading.Thread(target=print).start(); print('reached')"),
        HostileTrial(name: "opens a socket", program: "import socket; socket.socket(); print('reached')"),
        HostileTrial(name: "signals every process", program: "import os; os.kill(-1, 0); print('reached')"),
        HostileTrial(
            name: "traces a process",
            program: "import ctypes\nif ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0: print('reached')"),
        HostileTrial(name: "writes outside /tmp", program: "open('/retort-was-here', 'w'); print('reached')"),
        HostileTrial(
            name: "makes a namespace",
            program: "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000) == 0: print('reached')"),
        HostileTrial(
            name: "sees a variable of the host",
            program: "import os\nif set(os.environ) - {'LC_CTYPE'}: print('reached')"),
    ]
}

extension PythonSession {
    /// The layers of the session, each inspected separately.
    var layers: [CheckResult] {
        let facts = ProcessFacts(root.pid)
        let namespaces = [
            ("user", "no privilege outside"), ("mnt", "a view of files with the interpreter only"),
            ("pid", "no process of the host can be named"), ("net", "no network device"),
            ("ipc", "no shared memory with the host"), ("uts", "another host name"),
        ].map { kind, gain in
            let apart = facts.isApart(kind)
            return CheckResult(
                name: "\(kind) namespace", holds: apart == true,
                detail: apart == nil ? "may not be seen from here" : apart == true ? gain : "shared with the host")
        }
        let seccomp = facts.status("Seccomp") == "2"
        let capabilities = [facts.status("CapEff"), facts.status("CapBnd")].allSatisfy { Int($0 ?? "", radix: 16) == 0 }
        var landlock = 0
        if case .integer(let version) = root.hello["landlock"] { landlock = version }
        let limits = ["Max address space", "Max cpu time", "Max file size", "Max open files"].map {
            "\($0.dropFirst(4)) \(facts.limit($0) ?? "?")"
        }
        return namespaces + [
            .init(
                name: "system call filter", holds: seccomp,
                detail: seccomp ? "\(facts.status("Seccomp_filters") ?? "?") filters, an allow list" : "missing"),
            .init(
                name: "fork gate", holds: hasGate,
                detail: hasGate ? "every fork and change of a file is asked of the host" : "missing"),
            .init(
                name: "Landlock", holds: landlock > 0,
                detail: landlock > 0 ? "version \(landlock)" : "the kernel has none: files rest on namespaces alone"),
            .init(name: "no new privileges", holds: facts.status("NoNewPrivs") == "1", detail: ""),
            .init(name: "no capabilities", holds: capabilities, detail: ""),
            .init(
                name: "limits", holds: !limits.contains { $0.hasSuffix("unlimited") || $0.hasSuffix("?") },
                detail: limits.joined(separator: ", ")),
        ]
    }
}
