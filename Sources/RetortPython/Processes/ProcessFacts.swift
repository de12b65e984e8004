import Foundation
import Glibc

/// What the kernel reports about a process in `/proc`, seen from outside.
struct ProcessFacts {
    let pid: pid_t

    init(_ pid: pid_t) { self.pid = pid }

    /// A process and its living descendants.
    /// - Parameter others: processes that do not count, nor what descends from them.
    static func descendants(of root: pid_t, besides others: Set<pid_t> = []) -> Set<pid_t> {
        guard livingParent(of: root) != nil else { return [] }
        let all = listsChildren ? nil : childrenOfAll()
        var (found, open): (Set<pid_t>, [pid_t]) = ([root], [root])
        while let next = open.popLast() {
            for child in all.map({ $0[next] ?? [] }) ?? children(of: next)
            where !others.contains(child) && livingParent(of: child) != nil && found.insert(child).inserted {
                open.append(child)
            }
        }
        return found
    }

    /// Whether the kernel lists the children of a process, which saves looking at all processes (`CONFIG_PROC_CHILDREN`).
    private static let listsChildren = FileManager.default.fileExists(atPath: "/proc/self/task/\(getpid())/children")

    /// The children of a process, also those that have ended and are not waited for.
    static func children(of pid: pid_t) -> [pid_t] {
        guard listsChildren else { return childrenOfAll()[pid] ?? [] }
        // Each thread has its own.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return threads.flatMap { thread in
            let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/children", encoding: .utf8)
            return (text ?? "").split(separator: " ").compactMap { pid_t($0) }
        }
    }

    /// The children of every process, by the parents that all name.
    private static func childrenOfAll() -> [pid_t: [pid_t]] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.reduce(into: [:]) { children, pid in
            if let parent = livingParent(of: pid) { children[parent, default: []].append(pid) }
        }
    }

    /// A process's parent, from `/proc/PID/stat`; nil for one that has ended, also if its parent does not know it yet.
    private static func livingParent(of pid: pid_t) -> pid_t? {
        // The name, in parentheses, may itself have blanks and parentheses. State and parent follow it.
        guard let text = try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/stat")),
            let end = text.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = text[(end + 1)...].split(separator: UInt8(ascii: " "), maxSplits: 2)
        guard fields.count > 1, fields[0].first != UInt8(ascii: "Z") else { return nil }
        return pid_t(String(decoding: fields[1], as: UTF8.self))
    }

    /// Whether the process is in a namespace of its own; nil when that cannot be read.
    func isApart(_ kind: String) -> Bool? {
        guard let theirs = link("/proc/\(pid)/ns/\(kind)"), let ours = link("/proc/self/ns/\(kind)") else { return nil }
        return theirs != ours
    }

    private func link(_ path: String) -> String? { try? FileManager.default.destinationOfSymbolicLink(atPath: path) }

    /// A field of `/proc/PID/status`.
    func status(_ field: String) -> String? {
        line(of: "status") { $0.hasPrefix("\(field):") }?.split(separator: "\t").last
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// The soft value of a limit in `/proc/PID/limits`, with its unit.
    func limit(_ name: String) -> String? {
        line(of: "limits") { $0.hasPrefix(name) }?.dropFirst(26).split(separator: " ").first.map(String.init)
    }

    private func line(of file: String, where isWanted: (Substring) -> Bool) -> Substring? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/\(file)", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first(where: isWanted)
    }

    /// How long the process has been ready to run without getting a processor, in seconds; 0 if the kernel does not
    /// say.
    var waited: Double {
        let text = try? String(contentsOfFile: "/proc/\(pid)/schedstat", encoding: .utf8)
        let nanoseconds = text?.split(separator: " ").dropFirst().first.flatMap { Double($0) }
        return (nanoseconds ?? 0) / 1e9
    }

    /// Whether the process runs or waits for the processor or a disk, and its processor time; nil when it has ended.
    var times: (isAtWork: Bool, seconds: Double)? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let name = text.lastIndex(of: ")")
        else { return nil }
        // The fields after the name, which may contain any character: state is the 3rd field, utime and stime are the
        // 14th and 15th.
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (["R", "D"].contains(fields[0]), (user + system) / Double(sysconf(Int32(_SC_CLK_TCK))))
    }
}
