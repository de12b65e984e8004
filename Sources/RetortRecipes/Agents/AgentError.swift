/// An agent that cannot be found, opened or used so: what is wrong, where, and what to do.
public enum AgentError: Error, CustomStringConvertible, Equatable {
    /// A place without agents.
    case noAgent(String, isRun: Bool)
    /// A place with agents, none of which is meant.
    case noSuch(student: String?, system: String?, known: [String])
    /// Two folders of agents with one name.
    case twice(String, [String])
    /// An `agent.json` that says what cannot be followed.
    case malformed(file: String, String)
    /// Written by a later version.
    case newer(file: String, version: Int, known: Int)
    /// A path that leads out of the folder.
    case outside(file: String, path: String)
    /// What is named and is not there.
    case missing(folder: String, path: String)
    /// A link, or a thing that is no file.
    case notAFile(folder: String, path: String)
    /// A file of another size.
    case cut(folder: String, path: String, bytes: Int, expected: Int)
    /// A file of another content.
    case changed(folder: String, path: String)
    /// A file that nobody named, where it would be read.
    case stray(folder: String, path: String)
    /// This version writes other prompts than the agent learned.
    case otherPrompt(file: String, madeBy: String, here: String)
    /// Tools that are not as the agent learned them.
    case otherTools(file: String, [String])
    /// A base that is nowhere to be found.
    case noBase(agent: String, base: String, digest: String, looked: [String])
    /// A folder that is not the base.
    case wrongBase(String, agent: String, expected: String, found: String)
    /// An agent whose tools are processes of this machine.
    case startsProcesses(agent: String, [String])
    case noPlayer(agent: String, role: String)
    case noMeaning(agent: String, String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .noAgent(let path, true):
            "\(path) holds no agent yet: 'retort run RECIPE' writes it into \(path)/agent behind training, and trains nothing "
                + "again that is done"
        case .noAgent(let path, false):
            "\(path) holds no agent: name a folder with an agent.json, a folder of such folders, or a run"
        case .noSuch(let student, let system, let known):
            "there is no agent '\(student ?? "…")/\(system ?? "…")' here; there are \(known.joined(separator: ", ")). "
                + "--student takes the first part, --system the second, behind which may stand "
                + AgentWay.known.map { "+\($0)" }.joined(separator: ", ")
        case .twice(let title, let places):
            "\(places.joined(separator: " and ")) both hold the agent \(title); open one of them"
        case .malformed(let file, let reason): "\(file): \(reason)"
        case .newer(let file, let version, let known):
            "\(file) has version \(version), and this Retort reads versions up to \(known): it was written by a later Retort, and "
                + "may say what this one would pass over. Open it with a Retort of that version"
        case .outside(let file, let path):
            "\(file) names '\(path)', which leads out of the agent's folder; an agent holds all its files"
        case .missing(let folder, let path):
            "\(folder): '\(path)' is not there; the folder was not copied whole. Copy it again"
        case .notAFile(let folder, let path):
            "\(folder): '\(path)' is a link, or no file; an agent holds files themselves. Copy the folder with 'cp -RL'"
        case .cut(let folder, let path, let bytes, let expected):
            "\(folder): '\(path)' has \(bytes) bytes instead of \(expected); copy the folder again"
        case .changed(let folder, let path):
            "\(folder): '\(path)' is not the file that was written (its SHA-256 differs); copy the folder again, or make the "
                + "agent anew with 'retort run RECIPE'"
        case .stray(let folder, let path):
            "\(folder): agent.json does not name '\(path)', which would be read all the same; take it out"
        case .otherPrompt(let file, let madeBy, let here):
            "\(file): the agent learned other prompts than this Retort writes (it was made by \(madeBy), this is \(here)); open it "
                + "with that version, or train it anew"
        case .otherTools(let file, let tools):
            "\(file): these tools are not as the agent learned them: \(tools.joined(separator: ", "))"
        case .noBase(let agent, let base, let digest, let looked):
            "\(agent) is made of adapters for the base '\(base)' (SHA-256 \(digest.prefix(12))…), which was not found; give its "
                + "folder with --base FOLDER, put it beside the agent, or name the folder that holds your models in "
                + "RETORT_MODELS. Looked at: \(looked.isEmpty ? "nothing" : looked.joined(separator: ", "))"
        case .wrongBase(let place, let agent, let expected, let found):
            "\(place) is not the base of \(agent): its SHA-256 is \(found.prefix(12))…, and the adapters were trained on "
                + "\(expected.prefix(12))…"
        case .startsProcesses(let agent, let commands):
            "\(agent) starts processes with your rights: \(commands.joined(separator: "; ")). If you trust whoever made it, "
                + "allow them with --allow-host"
        case .noPlayer(let agent, let role): "the agent '\(agent)' has nobody who plays the \(role)"
        case .noMeaning(let agent, let what): "the agent '\(agent)' cannot be run with \(what)"
        }
    }
}
