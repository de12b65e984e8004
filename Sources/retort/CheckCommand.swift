import ArgumentParser
import Foundation
import RetortCore
import RetortDomains
import RetortRecipes

/// `retort check`
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a domain before any token is spent on it.",
        discussion: """
            The tools are imported and their schemas shown, the documents are indexed and searched, every reference \
            answer is given to the grader, test questions are compared with training questions, and one task's session \
            is set up.

              retort check shop/
              retort check examples/*
            """)

    @Argument(help: "Folders with a domain.yaml, or such files.") var domains: [String]
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var sandbox: SandboxOptions

    func validate() throws {
        guard !domains.isEmpty else { throw ValidationError("name a folder with a domain.yaml") }
    }

    func run() async throws {
        var faulty: [String] = []
        var checked = 0
        for place in domains {
            let url = URL(fileURLWithPath: place)
            // With `examples/*`, files that are not domains are skipped; a single folder must be one.
            if domains.count > 1, !Self.isDomain(url) {
                guard FileManager.default.fileExists(atPath: place) else {
                    try show([CheckResult(name: "domain", holds: false, detail: "there is no \(place)")], of: place)
                    faulty.append(place)
                    continue
                }
                FileHandle.standardError.write(Data("\(place): skipped, for it has no domain.yaml\n".utf8))
                continue
            }
            checked += 1
            if !json { print("\(place):") }
            do {
                let check = try await Self.check(url, requiring: sandbox)
                try show(check.findings, of: place)
                if !check.holds { faulty.append(place) }
            } catch {
                if error is CancellationError { throw error }
                try show([CheckResult(name: "domain", holds: false, detail: "\(error)")], of: place)
                faulty.append(place)
            }
        }
        guard faulty.isEmpty else { throw CheckError.faulty(faulty) }
        guard checked > 0 else { throw ValidationError("none of these is a folder with a domain.yaml") }
    }

    private static func isDomain(_ url: URL) -> Bool {
        url.pathExtension == "yaml"
            || FileManager.default.fileExists(atPath: url.appendingPathComponent("domain.yaml").path)
    }

    private static func check(_ url: URL, requiring sandbox: SandboxOptions) async throws -> DomainCheck {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-check-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let domain = try await FolderDomain(
            DomainPlan(url), keepingIndexIn: folder, requiring: sandbox.required,
            models: LocalRetrievalModels(), progress: embeddingProgress())
        do {
            let check = try await DomainCheck(domain)
            await domain.close()
            return check
        } catch {
            await domain.close()
            throw error
        }
    }

    private func show(_ findings: [CheckResult], of place: String) throws {
        if json {
            for finding in findings {
                let line: JSONValue = [
                    "domain": .string(place), "name": .string(finding.name), "holds": .bool(finding.holds),
                    "detail": .string(finding.detail),
                ]
                print(line.jsonText)
            }
        } else {
            for finding in findings { print("  \(finding.holds ? "✓" : "✗") \(finding.name): \(finding.detail)") }
        }
    }
}

/// Domains with faults.
enum CheckError: Error, CustomStringConvertible {
    case faulty([String])

    var description: String {
        switch self {
        case .faulty(let places): "not ready: \(places.joined(separator: ", ")); see the lines marked ✗"
        }
    }
}
