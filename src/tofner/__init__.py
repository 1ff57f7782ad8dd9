"""Named-entity taggers for domains and languages without labelled data, by Target-Oriented Fine-tuning (TOF)."""
