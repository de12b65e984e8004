import ArgumentParser
import RetortPython

/// The options that all commands that run model-written programs share.
struct SandboxOptions: ParsableArguments {
    @Option(
        name: .customLong("require-sandbox"),
        help: ArgumentHelp(
            "Refuse to run programs in a sandbox weaker than this: isolated, restricted or none.", valueName: "level"))
    var required: SandboxLevel = .restricted
}

extension SandboxLevel: ExpressibleByArgument {}
