import Foundation
import RetortCore

/// A control group (cgroup v2, the kernel's `admin-guide/cgroup-v2`) around the interpreter and all its sessions: memory and
/// processes of all of them together, which no limit of a single process can bound.
///
/// It can be had where Retort may make groups and the kernel offers the controllers there: as root outside a container, or with
/// a delegated group (`systemd-run --scope -p Delegate=yes`).
struct ControlGroup: Sendable {
    let folder: URL
    let memoryBytes: Int
    let processes: Int

    /// Why a group cannot be had.
    struct Unavailable: Error, CustomStringConvertible {
        let description: String
    }

    /// Makes a group beside or below this process's own.
    /// - Parameters:
    ///   - mounts: the kernel's list of mounts.
    ///   - membership: the kernel's list of this process's groups.
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
                // What is over the limit is ended, not swapped; not every kernel can swap.
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

    /// Removes the groups of processes that were killed. The kernel keeps those that still hold a process.
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

    /// Writes to a file that the kernel made; a missing one is not created.
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

    /// Puts a process, and all that it will fork, into the group.
    func take(_ process: pid_t) throws(Unavailable) { try Self.write(Int(process), to: "cgroup.procs", in: folder) }

    /// Removes the group, once its processes have ended.
    func remove() async {
        for _ in 0..<50 {
            if rmdir(folder.path) == 0 || errno == ENOENT { return }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}
