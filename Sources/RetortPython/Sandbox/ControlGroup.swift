import Foundation
import RetortCore

/// A control group (cgroup v2, the kernel's `admin-guide/cgroup-v2`) around the interpreter and all its sessions. It
/// limits the memory and the number of processes of all of them together, which limits on single processes cannot do.
///
/// It is available where Retort may create groups and the kernel offers the controllers: as root outside a container,
/// or with a delegated group (`systemd-run --scope -p Delegate=yes`).
struct ControlGroup: Sendable {
    let folder: URL
    let memoryBytes: Int
    let processes: Int

    /// Why a group is not available.
    struct Unavailable: Error, CustomStringConvertible {
        let description: String
    }

    /// Creates a group beside or below this process's own.
    /// - Parameters:
    ///   - mounts: the kernel's list of mounts.
    ///   - membership: the kernel's list of the groups of this process.
    init(
        memoryBytes: Int, processes: Int, mounts: String = Self.text("/proc/self/mounts"),
        membership: String = Self.text("/proc/self/cgroup")
    ) throws(Unavailable) {
        let mount = mounts.split(separator: "\n").map { $0.split(separator: " ") }
            .first { $0.count > 2 && $0[2] == "cgroup2" }?[1]
        guard let mount else { throw Unavailable(description: "no cgroup v2 is mounted") }
        let own = membership.split(separator: "\n").first { $0.hasPrefix("0::") }?.dropFirst(3) ?? "/"
        let home = URL(fileURLWithPath: String(mount)).appendingPathComponent(String(own))
        var reason = "no group may be made below \(home.path)"
        for parent in [home, home.deletingLastPathComponent()] where parent.path.hasPrefix(String(mount)) {
            Self.removeLeftovers(in: parent)
            let folder = parent.appendingPathComponent("retort-\(getpid())-\(UUID().uuidString.prefix(8))")
            guard (try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)) != nil
            else {
                continue
            }
            do {
                try Self.write(memoryBytes, to: "memory.max", in: folder)
                try Self.write(processes, to: "pids.max", in: folder)
                // Processes over the limit are killed, not swapped; not every kernel can swap.
                try? Self.write(0, to: "memory.swap.max", in: folder)
                (self.folder, self.memoryBytes, self.processes) = (folder, memoryBytes, processes)
                return
            } catch {
                _ = rmdir(folder.path)
                reason = error.description
            }
        }
        throw Unavailable(description: reason)
    }

    /// Removes the groups of processes that were killed. The kernel keeps groups that still contain a process.
    static func removeLeftovers(in parent: URL) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent.path)) ?? []
        for name in names {
            let parts = name.split(separator: "-")
            guard parts.count == 3, parts[0] == "retort", let pid = pid_t(parts[1]), pid > 0,
                kill(pid, 0) != 0, errno == ESRCH
            else { continue }
            _ = rmdir(parent.appendingPathComponent(name).path)
        }
    }

    private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    /// Writes to a file that the kernel provides; a missing file is not created.
    private static func write(_ value: Int, to name: String, in folder: URL) throws(Unavailable) {
        let path = folder.appendingPathComponent(name).path
        guard let file = FileHandle(forWritingAtPath: path) else {
            throw Unavailable(description: "cgroup v2 offers no \(name.split(separator: ".")[0]) controller here")
        }
        do {
            try file.write(contentsOf: Data("\(value)".utf8))
            try file.close()
        } catch {
            throw Unavailable(description: "\(path) cannot be set")
        }
    }

    /// Moves a process, and everything it will fork, into the group.
    func take(_ process: pid_t) throws(Unavailable) { try Self.write(Int(process), to: "cgroup.procs", in: folder) }

    /// Removes the group once its processes have ended.
    func remove() async {
        for _ in 0..<50 {
            if rmdir(folder.path) == 0 || errno == ENOENT { return }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}
